"""One container, by the commands of the page on deployment."""

import json
import re
import time

import httpx

from tests.conftest import ROOT
from tests.deploy.programs import commands
from tests.deploy.rehearsal.conftest import IMAGE
from tests.deploy.rehearsal.engine import Engine
from tests.deploy.rehearsal.training import awaited, train
from tests.service.talk import Api

CONFINED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
HEALTH_SECONDS = 40
URL = "http://127.0.0.1:8000"


def health(engine: Engine) -> str:
    """Return what Docker holds of the container."""
    return engine.said("inspect", "--format", "{{.State.Health.Status}}", "batchbandit")


def test_the_image_has_nothing_that_builds_and_is_not_roots(engine: Engine) -> None:
    here = engine.said(
        "run", "--rm", "--entrypoint", "sh", IMAGE, "-c", "id -u; command -v gcc cc make pip || true"
    )
    assert here == "10001"
    config = json.loads(engine.said("inspect", "--format", "{{json .Config}}", IMAGE))
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"][0] == "CMD"


def test_without_a_token_it_says_what_to_do(engine: Engine) -> None:
    ended = engine.tried("run", "--rm", *CONFINED, IMAGE)
    assert ended.returncode == 2
    assert b"batchbandit token create --role admin" in ended.stderr


def test_it_serves_by_the_commands_of_the_page_and_keeps_what_it_has(engine: Engine) -> None:
    token = engine.run(commands("One container", 0), ROOT).split()[1]
    with awaited(URL, token) as client:
        assert httpx.get(f"{URL}/metrics", trust_env=False).status_code == 401
        page = client.get("/")
        (style,) = set(re.findall(r'href="(/static/[^"]+/style\.css)"', page.text))
        assert client.get(style).is_success
        job_id = train(client)
        deadline = time.monotonic() + HEALTH_SECONDS
        while health(engine) != "healthy":
            assert time.monotonic() < deadline, health(engine)
            time.sleep(0.5)
        assert engine.tried("exec", "batchbandit", "touch", "/opt/batchbandit/new").returncode != 0
        # With less than it is given: nothing but its volume to write to, and no capability.
        status = engine.said(
            "exec", "batchbandit", "grep", "-E", "CapEff|NoNewPrivs|Seccomp:", "/proc/1/status"
        )
        assert status.split() == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1", "Seccomp:", "2"]
        engine.said("stop", "batchbandit")
        assert engine.said("inspect", "--format", "{{.State.ExitCode}}", "batchbandit") == "0"
        engine.said("start", "batchbandit")
        with awaited(URL, token) as again:
            assert Api(again).trial(job_id)["trial_number"] == 3
    engine.said("exec", "batchbandit", "batchbandit", "db", "backup", "/data/copy.db")
    found = engine.said("run", "--rm", "--volume", "batchbandit:/data", IMAGE, "db", "check")
    assert found.startswith("0 findings; 1 jobs, 3 trials")
