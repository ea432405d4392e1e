"""The reference server in an environment of its own, as a process to measure."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.server import Child, ServerFailed, free_port, launch, stop

# As its own documentation asks: pydantic before 2; the others are what works with its release.
REQUIREMENTS = (
    "zeus[bso-server]==0.16.0",
    "pydantic<2",
    "asyncpg",
    "aiosqlite",
    "greenlet",
    "numpy==1.26.4",
    "pandas<3",
)
APPLICATION = "zeus.optimizer.batch_size.server.router:app"
CREATE_TABLES = """
import asyncio, sys
from sqlalchemy.ext.asyncio import create_async_engine
from zeus.optimizer.batch_size.server.database.schema import Base

async def create():
    engine = create_async_engine(sys.argv[1])
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()

asyncio.run(create())
"""


def installed(folder: Path) -> Path:
    """Return the interpreter of the reference's environment; make it in a folder where it is missing.

    Raises:
        ServerFailed: It could not be installed.
    """
    python = folder / "bin" / "python"
    stamp = folder / ".installed"
    if not stamp.exists():
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS])
        stamp.touch()
    return python


@contextmanager
def running_reference(python: Path, database_url: str | None = None) -> Iterator[Child]:
    """Start the reference on new tables, in a SQLite file where nothing else is named; stop it at the end.

    Raises:
        ServerFailed: It did not start.
    """
    with TemporaryDirectory(prefix="batchbandit-") as folder:
        url = database_url or f"sqlite+aiosqlite:///{folder}/reference.db"
        _run([str(python), "-c", CREATE_TABLES, url])
        port = free_port()
        command = [str(python), "-m", "uvicorn", APPLICATION, "--host", "127.0.0.1", "--port", str(port)]
        child = launch(
            [*command, "--no-access-log", "--log-level", "warning"],
            port,
            Path(folder) / "reference.log",
            health="/openapi.json",
            environment={"ZEUS_BSO_DATABASE_URL": url, "ZEUS_BSO_LOG_LEVEL": "WARNING"},
        )
        try:
            yield child
        finally:
            stop(child)


def _run(command: list[str]) -> None:
    # S603: the commands are made above.
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise ServerFailed(f"{command[0]} failed:\n{done.stderr[-2000:]}")
