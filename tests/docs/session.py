"""A shell in a folder of its own, with a service beside it: where the blocks of a page run in order."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Timer

import asyncpg
import httpx

from benchmarks.server import free_port
from tests.conftest import ROOT
from tests.docs.blocks import Block, fits, looks_like, steps_of

LIMIT = 120.0
"""Seconds that one step may take."""
START_LIMIT = 60.0
"""Seconds until a service must be ready."""
DONE = "the-step-is-over"
SERVE = re.compile(r"^batchbandit serve\b.*(\n +.*)*$")
SHOWN_ADDRESS = "127.0.0.1:8000"
"""Where the service is in the documentation."""
POSTGRES = re.compile(r"postgresql\+asyncpg://[^\s'\"]+")


class Session:
    """A page's shell. Its service serves ``batchbandit.db`` in its folder unless the page starts another one.

    Where the documentation says port 8000 it is a free port, where it names a Postgres it is the tests' own.
    """

    def __init__(self, folder: Path, new_postgres_url: Callable[[], str]) -> None:
        self._folder = folder
        self._new_postgres_url = new_postgres_url
        self._postgres_urls: dict[str, str] = {}
        self._postgres_url = ""
        self._port = free_port()
        self._address = f"127.0.0.1:{self._port}"
        self._is_serving = False
        self._printed = ""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BATCHBANDIT_")}
        self._shell = subprocess.Popen(
            ["bash", "-eu", "-o", "pipefail"],  # noqa: S607  (the reader's own)
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            cwd=folder,
            env=kept
            | {
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "HOME": str(folder),
                "COLUMNS": "120",
                "NO_COLOR": "1",
                "BATCHBANDIT_PORT": str(self._port),
                "BATCHBANDIT_URL": f"http://{self._address}",
                "BATCHBANDIT_STATE_DIR": str(folder / "state"),
            },
        )

    def run(self, block: Block) -> None:
        """Run a block.

        Raises:
            AssertionError: It fails, or does not print what is shown.
        """
        if block.language == "json":
            assert fits(json.loads(block.text), json.loads(self._printed)), self._printed
        elif block.language == "python":
            Path(self._folder, "block.py").write_text(self._meant(block.text), encoding="utf-8")
            self._do("python block.py")
        elif block.language == "sql":
            self._printed = asyncio.run(answered(self._postgres_url, block.text))
        else:
            for step in steps_of(block):
                # As at a terminal, where curl shows no progress. What is refused fails unless it is shown.
                lines = ["silent", "show-error", *(["fail-with-body"] if step.output is None else [])]
                Path(self._folder, ".curlrc").write_text("\n".join(lines), encoding="utf-8")
                self._take(step.commands)
                more = "..." if SERVE.match(step.commands.strip()) else ""  # a service goes on telling
                assert step.output is None or looks_like(step.output + more, self._printed), self._printed

    def close(self) -> None:
        """End the service and the shell."""
        with suppress(
            AssertionError, BrokenPipeError
        ):  # the shell has ended with the step before, or ends now
            self._do("kill $(jobs -p) 2>/dev/null && wait || true")
        self._kill()
        with suppress(BrokenPipeError):  # of what was written for it, and not read
            self._shell.communicate()

    def _kill(self) -> None:
        """End the shell with all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)

    def _take(self, commands: str) -> None:
        """Run the commands of a step; a service is started and left running."""
        if SERVE.match(commands.strip()):
            self._serve(commands.strip())
            return
        if not self._is_serving:
            self._serve("batchbandit serve")
        self._do(commands)

    def _serve(self, command: str) -> None:
        """Start a service instead of the one before; return once it is ready."""
        self._do('for job in $(jobs -p); do kill "$job" || true; done; wait')  # one may have ended by itself
        self._is_serving = True
        self._do(f"{command.partition('  #')[0]} > serve.log 2>&1 &")
        log = self._folder / "serve.log"
        deadline = time.monotonic() + START_LIMIT
        with httpx.Client(trust_env=False) as client:
            while not self._is_ready(client):
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
        self._printed = self._shown(log.read_text())

    def _is_ready(self, client: httpx.Client) -> bool:
        try:
            return client.get(f"http://{self._address}/readyz").is_success
        except httpx.TransportError:
            return False

    def _do(self, commands: str) -> None:
        """Let the shell run commands, whose output is kept; the first that fails ends it."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        assert self._shell.poll() is None, "the shell has ended with the step before"
        self._shell.stdin.write(f"{{ {self._meant(commands)}\n}} </dev/null\necho {DONE}\n")
        self._shell.stdin.flush()
        timer = Timer(LIMIT, self._kill)
        timer.daemon = True
        timer.start()
        printed = ""
        while not printed.endswith(f"{DONE}\n"):
            line = self._shell.stdout.readline()
            assert line, f"{commands}\n{printed}"
            printed += line
        timer.cancel()
        self._printed = self._shown(printed.removesuffix(f"{DONE}\n"))

    def _postgres(self, shown: str) -> str:
        """Return the URL of the page's own Postgres of a name, new where it is named for the first time."""
        if shown not in self._postgres_urls:
            self._postgres_urls[shown] = self._new_postgres_url()
        self._postgres_url = self._postgres_urls[shown]
        return self._postgres_url

    def _meant(self, commands: str) -> str:
        """Return commands as they are meant here: at this address, on this Postgres."""
        here = commands.replace(SHOWN_ADDRESS, self._address)
        return POSTGRES.sub(lambda shown: self._postgres(shown[0]), here)

    def _shown(self, printed: str) -> str:
        """Return what was printed as the documentation shows it."""
        return printed.replace(self._address, SHOWN_ADDRESS)


async def answered(url: str, statements: str) -> str:
    """Let a Postgres carry statements out and take them back; return what it says of the last one."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        transaction = connection.transaction()
        await transaction.start()
        said: str = await connection.execute(statements)
        await transaction.rollback()
    finally:
        await connection.close()
    return said
