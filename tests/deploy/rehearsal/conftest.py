"""What the rehearsals share: an engine with the image that the page on deployment builds."""

from collections.abc import Iterator

import pytest

from tests.conftest import ROOT
from tests.deploy.programs import commands
from tests.deploy.rehearsal.engine import Engine, make_stand_ins, remove_containers, running_engine

IMAGE = "batchbandit:0.1.0"


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Return an engine in which the service's image was built by the page's command."""
    with running_engine() as running:
        make_stand_ins(running)
        running.run(commands("The image", 0), ROOT)
        yield running


@pytest.fixture(autouse=True)
def _nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "engine" in request.fixturenames:
        remove_containers(request.getfixturevalue("engine"))
