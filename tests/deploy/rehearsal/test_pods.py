"""The pods of Kubernetes, run as containers in the order of the page on deployment."""

from pathlib import Path

import pytest

from tests.deploy.manifests import Manifest, built, copied
from tests.deploy.rehearsal.conftest import IMAGE
from tests.deploy.rehearsal.containers import options_of
from tests.deploy.rehearsal.engine import POSTGRES, Engine
from tests.deploy.rehearsal.training import awaited, train

EXAMPLE_ADDRESS = "postgres.example.org:5432/batchbandit?ssl=require"
PUBLISHED = ("--publish", "127.0.0.1::8000")
CREATE_TOKEN = ("batchbandit", "token", "create", "--role", "admin")


def started(engine: Engine, name: str, manifests: list[Manifest], *more: str, volume: str = "") -> None:
    """Start the pod of a kustomization under a name."""
    options, arguments = options_of(manifests, volume)
    engine.said("run", "--detach", "--name", name, *options, *more, IMAGE, *arguments)


def url_of(engine: Engine, name: str) -> str:
    """Return where the service of a container answers."""
    return f"http://{engine.said('port', name, '8000/tcp')}"


def stopped(engine: Engine, name: str) -> int:
    """Stop a container as Kubernetes does, remove it and return its exit code."""
    engine.said("stop", "--time", "30", name)
    code = int(engine.said("inspect", "--format", "{{.State.ExitCode}}", name))
    engine.said("rm", name)
    return code


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """Return the manifests with the address of a Postgres beside them."""
    folder = copied(tmp_path)
    settings = folder / "overlays" / "postgres" / "settings"
    address = settings / "kustomization.yaml"
    assert EXAMPLE_ADDRESS in address.read_text()
    address.write_text(address.read_text().replace(EXAMPLE_ADDRESS, "postgres:5432/batchbandit"))
    (settings / "database.env").write_text("PGPASSWORD=hush: 'and quoted'\n")
    return folder


def test_two_replicas_serve_one_postgres(engine: Engine, manifests: Path, tmp_path: Path) -> None:
    overlay = manifests / "overlays" / "postgres"
    (tmp_path / "password").write_text("hush: 'and quoted'")
    (tmp_path / "password").chmod(0o444)
    engine.said("network", "create", "cluster")
    within = ("--network", "cluster")
    variables = {
        "POSTGRES_USER": "batchbandit",
        "POSTGRES_DB": "batchbandit",
        "POSTGRES_PASSWORD_FILE": "/password",
        "POSTGRES_INITDB_ARGS": "--auth-host=scram-sha-256",
    }
    given = [option for name, value in variables.items() for option in ("--env", f"{name}={value}")]
    mounted = ("--volume", f"{tmp_path / 'password'}:/password:ro", "--user", "999:999")
    engine.said("run", "--detach", "--name", "postgres", *within, *given, *mounted, POSTGRES)
    ready = "until pg_isready --host=127.0.0.1; do sleep 0.2; done"
    engine.said("exec", "postgres", "timeout", "60", "sh", "-c", ready)

    started(engine, "console", built(overlay / "console"), *within)
    token = engine.said("exec", "console", *CREATE_TOKEN)
    assert stopped(engine, "console") == 0
    options, arguments = options_of(built(overlay / "migration"))
    migrated = engine.said("run", "--rm", *within, *options, IMAGE, *arguments)
    assert migrated == "Already at this release's revision."
    for name in ("first", "second"):
        started(engine, name, built(overlay), *within, *PUBLISHED)
    with awaited(url_of(engine, "first"), token) as first, awaited(url_of(engine, "second"), token) as second:
        job_id = train(first)
        assert second.get("/jobs/batch_size", params={"job_id": job_id}).json()["trial_number"] == 3
    assert [stopped(engine, name) for name in ("first", "second")] == [0, 0]


def test_one_replica_serves_a_file_of_its_claim(engine: Engine, manifests: Path) -> None:
    overlay = manifests / "overlays" / "sqlite"
    engine.said("volume", "create", "claim")
    started(engine, "console", built(overlay / "console"), volume="claim")
    token = engine.said("exec", "console", *CREATE_TOKEN)
    assert stopped(engine, "console") == 0
    started(engine, "service", built(overlay), *PUBLISHED, volume="claim")
    with awaited(url_of(engine, "service"), token) as client:
        train(client)
    assert stopped(engine, "service") == 0


def test_without_a_token_no_replica_starts(engine: Engine, manifests: Path) -> None:
    options, arguments = options_of(built(manifests / "overlays" / "sqlite"), "empty")
    ended = engine.tried("run", "--rm", *options, IMAGE, *arguments)
    assert ended.returncode == 2
    assert b"token create" in ended.stderr
