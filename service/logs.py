"""The log: a line an entry on standard error, for people or as JSON, with the requests that it concerns."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from service.context import concerned

LIBRARIES = logging.WARNING
"""What libraries may say: below it, some would tell every statement with what it binds."""


class Format(StrEnum):
    """How an entry is written."""

    CONSOLE = "console"
    JSON = "json"


class Level(StrEnum):
    """The least that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Logs(Struct, frozen=True):
    """How to log."""

    format: Format = Format.CONSOLE
    level: Level = Level.INFO

    def begin(self) -> None:
        """Let this process log so: what the service says, and uvicorn, and the warnings of everybody else."""
        handler = logging.StreamHandler()
        handler.setFormatter(JsonLines() if self.format is Format.JSON else ConsoleLines())
        logging.basicConfig(handlers=[handler], level=LIBRARIES, force=True)
        for name in ("batchbandit", "uvicorn"):
            logging.getLogger(name).setLevel(self.level.upper())
        logging.captureWarnings(capture=True)


def fields(**values: object) -> Mapping[str, Any]:
    """Return what an entry says in members of its own, as the ``extra`` of a call of a logger."""
    return {"fields": values}


def members(record: logging.LogRecord) -> dict[str, object]:
    """Return what is said beside the message: of the requests concerned, and in members of its own."""
    asked = concerned.get()
    said: dict[str, object] = {}
    if len(asked) == 1:
        said = {"request_id": asked[0].request_id, "job_id": asked[0].job_id}
    elif asked:
        job_ids = {one.job_id for one in asked if one.job_id is not None}
        said = {"request_ids": [one.request_id for one in asked], "job_ids": sorted(job_ids)}
    said |= getattr(record, "fields", {})
    return {name: value for name, value in said.items() if value is not None}


def moment(record: logging.LogRecord) -> str:
    """Return when it was said, in UTC."""
    said_at = datetime.fromtimestamp(record.created, UTC)
    return said_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JsonLines(logging.Formatter):
    """An entry as one JSON object; all but printable ASCII is escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return an entry's line."""
        entry: dict[str, object] = {
            "timestamp": moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        entry |= members(record)
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


class ConsoleLines(logging.Formatter):
    """An entry as a line for people, its traceback below it and moved in: no text can pass for an entry."""

    def format(self, record: logging.LogRecord) -> str:
        """Return an entry's lines."""
        said = [moment(record), f"{record.levelname:7}", f"{record.name}:", printable(record.getMessage())]
        said += [f"{name}={quoted(str(value))}" for name, value in members(record).items()]
        if record.exc_info:
            trace = self.formatException(record.exc_info).splitlines()
            said[-1] += "".join(f"\n    {printable(line)}" for line in trace)
        return " ".join(said)


def quoted(text: str) -> str:
    """Return the value of a member, in quotes where it could pass for more than one."""
    return text if text.isprintable() and not set(' "=') & set(text) else json.dumps(text)


def printable(text: str) -> str:
    """Return a text with what a terminal would act upon escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
