"""The Compose file is what Docker Compose takes, and confines what it starts."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.programs import DEPLOY, program, said

SECRETS = ("postgres_password", "pgpass")


def composed(folder: Path) -> dict[str, Any]:
    """Return a Compose file as Docker Compose understands it."""
    command = [
        program("docker-compose"),
        "--file",
        str(folder / "compose.yaml"),
        "config",
        "--format",
        "json",
    ]
    understood: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return understood


def test_docker_compose_takes_it() -> None:
    assert said(program("docker-compose"), "--file", DEPLOY / "compose.yaml", "config", "--quiet") == ""


def test_docker_compose_refuses_a_word_that_it_does_not_know(tmp_path: Path) -> None:
    changed = (DEPLOY / "compose.yaml").read_text().replace("cap_drop", "cap_dorp")
    (tmp_path / "compose.yaml").write_text(changed)
    with pytest.raises(subprocess.CalledProcessError):
        composed(tmp_path)


def test_every_service_is_confined() -> None:
    for service in composed(DEPLOY)["services"].values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service.get("privileged")


def test_passwords_are_in_files_alone(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "compose.yaml", tmp_path)
    (tmp_path / "secrets").mkdir()
    for name in SECRETS:
        (tmp_path / "secrets" / name).write_text("hush")
    understood = composed(tmp_path)
    assert set(understood["secrets"]) == set(SECRETS)
    assert "hush" not in json.dumps(understood)
    for service in understood["services"].values():
        passwords = {name: value for name, value in service["environment"].items() if "PASS" in name}
        assert all(value.startswith("/run/secrets/") for value in passwords.values())
        assert len(passwords) == 1


def test_the_service_waits_for_its_database_and_its_migration() -> None:
    services = composed(DEPLOY)["services"]
    waits = {name: each["condition"] for name, each in services["batchbandit"]["depends_on"].items()}
    assert waits == {"postgres": "service_healthy", "migrate": "service_completed_successfully"}
    assert services["migrate"]["image"] == services["batchbandit"]["image"]


def test_nothing_is_published_to_others() -> None:
    services = composed(DEPLOY)["services"]
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert [port["host_ip"] for port in published["batchbandit"]] == ["127.0.0.1"]
    assert list(published) == ["batchbandit"]
    assert composed(DEPLOY)["networks"]["database"]["internal"]
