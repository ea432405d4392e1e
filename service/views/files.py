"""The trials of a job as a file: its beginning, lots of trials, its end; nothing else is kept of it."""

import csv
import io
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from typing import Any, Protocol

import msgspec

from service.errors import NotInstalled
from service.views.shapes import TrialView

COLUMNS = TrialView.__struct_fields__
ROWS_A_GROUP = 10_000
"""Of a Parquet file: what is kept until it is written."""
FORMULAS = (*"=+-@", *"\uff1d\uff0b\uff0d\uff20", *"\t\r\n")
"""What a cell begins with that a spreadsheet would carry out, also in full width (OWASP, CSV injection)."""


class Format(StrEnum):
    """A kind of file."""

    CSV = "csv"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"


class TrialsFile(Protocol):
    """A file that is written."""

    media_type: str

    def begin(self) -> bytes:
        """Return what comes first."""

    def lot(self, trials: Sequence[TrialView]) -> bytes:
        """Return what comes next, which may be nothing yet."""

    def end(self) -> bytes:
        """Return what comes last."""


def new_file(kind: Format) -> TrialsFile:
    """Return a new file.

    Raises:
        NotInstalled: What writes such files is not here.
    """
    match kind:
        case Format.CSV:
            return CsvFile()
        case Format.JSON_LINES:
            return JsonLinesFile()
        case Format.PARQUET:
            return ParquetFile()


class JsonLinesFile:
    """A JSON object a line."""

    media_type = "application/x-ndjson"

    def begin(self) -> bytes:
        """Return nothing."""
        return b""

    def lot(self, trials: Sequence[TrialView]) -> bytes:
        """Return a line a trial."""
        return msgspec.json.Encoder().encode_lines(trials)

    def end(self) -> bytes:
        """Return nothing."""
        return b""


class CsvFile:
    """CSV as RFC 4180 has it, with a header, in UTF-8.

    A text that a spreadsheet would take for a formula has an apostrophe before it.
    """

    media_type = "text/csv; charset=utf-8; header=present"

    def begin(self) -> bytes:
        """Return the header."""
        return _lines([COLUMNS])

    def lot(self, trials: Sequence[TrialView]) -> bytes:
        """Return a line a trial."""
        return _lines([map(_cell, msgspec.to_builtins(trial).values()) for trial in trials])

    def end(self) -> bytes:
        """Return nothing."""
        return b""


def _lines(rows: Sequence[Any]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    match value:
        case bool():
            return "true" if value else "false"
        case str() if value.startswith(FORMULAS):
            return f"'{value}"
    return value


class ParquetFile:
    """Apache Parquet, written by pyarrow a group of rows at a time."""

    media_type = "application/vnd.apache.parquet"

    def __init__(self) -> None:
        try:
            import pyarrow as pa  # noqa: PLC0415  (an extra, and slow to import)
            from pyarrow import parquet  # noqa: PLC0415
        except ImportError:
            raise NotInstalled(
                "This service cannot write Parquet: install batchbandit-server[parquet] with it, or ask for "
                "csv or jsonl."
            ) from None
        moment = pa.timestamp("us", tz="UTC")
        kinds = {
            "trial_number": pa.int32(),
            "batch_size": pa.int32(),
            "epochs": pa.int32(),
            "drifted_from": pa.float64(),
            "start_timestamp": moment,
            "end_timestamp": moment,
            "time": pa.float64(),
            "energy": pa.float64(),
            "cost": pa.float64(),
            "converged": pa.bool_(),
            "is_late": pa.bool_(),
        }
        schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
        self._sink = _Sink()
        self._writer: Any = parquet.ParquetWriter(self._sink, schema)
        self._table_of: Any = partial(pa.table, schema=schema)
        self._columns: dict[str, list[object]] = {name: [] for name in COLUMNS}

    def begin(self) -> bytes:
        """Return what such files begin with."""
        return self._sink.taken()

    def lot(self, trials: Sequence[TrialView]) -> bytes:
        """Return a group of rows, once there are enough for one."""
        for name, column in self._columns.items():
            column += [getattr(trial, name) for trial in trials]
        if len(self._columns[COLUMNS[0]]) >= ROWS_A_GROUP:
            self._write()
        return self._sink.taken()

    def end(self) -> bytes:
        """Return the rows that are left, and what says where each group is."""
        if self._columns[COLUMNS[0]]:
            self._write()
        self._writer.close()
        return self._sink.taken()

    def _write(self) -> None:
        self._writer.write_table(self._table_of(self._columns))
        for column in self._columns.values():
            column.clear()


class _Sink(io.RawIOBase):
    """A file of which is kept only what has not been taken yet."""

    def __init__(self) -> None:
        super().__init__()
        self._kept = bytearray()
        self._length = 0

    def writable(self) -> bool:
        """Tell that it is written to."""
        return True

    def tell(self) -> int:
        """Return how much has been written."""
        return self._length

    def write(self, data: Any, /) -> int:  # noqa: ANN401  (any buffer)
        """Keep what is written."""
        view = memoryview(data)
        self._kept += view
        self._length += view.nbytes
        return view.nbytes

    def taken(self) -> bytes:
        """Return what was kept, and keep it no longer."""
        taken, self._kept = bytes(self._kept), bytearray()
        return taken
