"""The service and its Postgres, by the commands of the page on deployment."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.programs import DEPLOY, commands
from tests.deploy.rehearsal.engine import Engine
from tests.deploy.rehearsal.training import awaited, train
from tests.service.talk import Api

URL = "http://127.0.0.1:8000"


@pytest.fixture
def folder(engine: Engine, tmp_path: Path) -> Iterator[Path]:
    """Return a folder with the Compose file in its folder ``deploy``; take down what was brought up."""
    (tmp_path / "deploy").mkdir()
    shutil.copy(DEPLOY / "compose.yaml", tmp_path / "deploy")
    yield tmp_path
    engine.run("cd deploy && docker compose down --volumes", tmp_path)


def ended(engine: Engine, folder: Path) -> dict[str, tuple[str, int]]:
    """Return the state and the exit code of each service."""
    listed = engine.run("cd deploy && docker compose ps --all --format json", folder)
    states = [json.loads(line) for line in listed.splitlines()]
    return {state["Service"]: (state["State"], state["ExitCode"]) for state in states}


def test_it_serves_by_the_commands_of_the_page_and_keeps_what_it_has(engine: Engine, folder: Path) -> None:
    engine.run(as_root(commands("Compose", 0)), folder)
    assert {path.stat().st_mode & 0o777 for path in (folder / "deploy" / "secrets").iterdir()} == {0o600}
    token = engine.run(commands("Compose", 1), folder).split()[-1]
    with awaited(URL, token) as client:
        job_id = train(client)
    started = ended(engine, folder)
    assert started == {"postgres": ("running", 0), "migrate": ("exited", 0), "batchbandit": ("running", 0)}
    said = engine.run("cd deploy && docker compose logs batchbandit migrate", folder)
    assert "with 2 workers" in said
    assert "Already at this release's revision" in said
    environment = engine.run("cd deploy && docker compose exec batchbandit env", folder)
    assert "PGPASSFILE" in environment
    assert (folder / "deploy" / "secrets" / "postgres_password").read_text() not in environment
    engine.run("cd deploy && docker compose stop", folder)
    assert {code for _, code in ended(engine, folder).values()} == {0}
    engine.run("cd deploy && docker compose up --detach", folder)
    with awaited(URL, token) as client:
        assert Api(client).trial(job_id)["trial_number"] == 3


def as_root(block: str) -> str:
    """Return commands for who is root already, where there may be no sudo."""
    return block.replace("sudo ", "")
