"""The examples of the calls' page are calls that the service takes."""

import json
from collections.abc import Callable, Iterator

import pytest

from docs.site.calls import command_of
from docs.site.examples import PARAMETERS
from service.web.openapi import described
from service.web.routes import guarded
from tests.docs.blocks import Block
from tests.docs.session import Session

PATHS = json.loads(described(guarded))["paths"]
CALLS = [(method.upper(), path, call) for path, calls in PATHS.items() for method, call in calls.items()]
REGISTER, SUGGEST = (
    command_of(method, path, call)
    for method, path, call in CALLS
    if (method, path) in {("POST", "/jobs"), ("GET", "/jobs/batch_size")}
)
ENDLESS = "/api/v1/events"
"""The call whose answer goes on until its caller hangs up."""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Return a shell with a service beside it."""
    opened = Session(tmp_path_factory.mktemp("calls"), no_postgres())
    yield opened
    opened.close()


def no_postgres() -> Callable[[], str]:
    """Return what would name a Postgres."""
    return lambda: pytest.fail("no example is of a Postgres")


@pytest.mark.parametrize(("number", "method", "path"), [(n, m, p) for n, (m, p, _) in enumerate(CALLS)])
def test_an_example_is_taken(number: int, method: str, path: str, session: Session) -> None:
    job_id = f"{PARAMETERS['job_id']}-{number}"
    example = command_of(method, path, CALLS[number][2])
    if path == ENDLESS:
        example = f"{example} --max-time 1 || [ $? -eq 28 ]"
    commands = [f"{command} > /dev/null" for command in (REGISTER, SUGGEST)] + [example]
    script = "".join(f"{command}\n" for command in commands).replace(str(PARAMETERS["job_id"]), job_id)
    session.run(Block("api.md", number, "sh", script, None))
