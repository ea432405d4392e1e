"""A database of their own for the tests that run the engine in process."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.store.opening import parsed
from service.store.sqlite import SQLiteDatabase


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SQLiteDatabase]:
    """Return an open database."""
    opened = SQLiteDatabase.open(parsed(f"sqlite+aiosqlite:///{tmp_path / 'engine.db'}"))
    yield opened
    asyncio.run(opened.close())
