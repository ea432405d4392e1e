"""What all tests share."""

import itertools
import os
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest

from benchmarks.postgres import Postgres, create_database, running_postgres

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of few tests, each of which takes long, so that two processes end together."""
    sizes = Counter(item.path for item in items)
    items.sort(key=lambda item: sizes[item.path])


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of recorded conversations and trainings, which a user's clone does not have."""
    folder = Path(os.environ.get("BATCHBANDIT_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip("the recorded conversations and trainings are not beside this clone")
    return folder


@pytest.fixture(scope="session", autouse=True)
def authorities_read_once() -> Iterator[None]:
    """Let all clients of HTTP share the public authorities: each would take 16 ms to read them for itself."""
    plain, public = ssl.create_default_context, certifi.where()
    shared = plain(cafile=public)

    def context(*purpose: Any, **named: Any) -> ssl.SSLContext:  # noqa: ANN401  (the module's own)
        return shared if (purpose, named) == ((), {"cafile": public}) else plain(*purpose, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", context)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Return a Postgres of the tests' own; where none can be started the tests fail and say why."""
    with running_postgres() as running:
        yield running


@pytest.fixture(scope="session")
def new_postgres_url(postgres: Postgres) -> Callable[[], str]:
    """Return what makes an empty database and gives its URL."""
    numbers = itertools.count(1)
    return lambda: create_database(postgres, f"test_{next(numbers)}")
