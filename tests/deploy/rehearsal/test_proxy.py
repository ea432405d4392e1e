"""nginx passes on, with the file that is given for it, what the service needs to know."""

import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from benchmarks.server import free_port, running_server
from service.credentials import Role
from tests.deploy.programs import DEPLOY, program
from tests.deploy.rehearsal.training import READY_SECONDS, is_ready, train
from tests.service.access.holders import make_token
from tests.service.talk import job_body

AROUND = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    include {folder}/batchbandit.conf;
}}
"""


def configured(folder: Path, service: str, port: int) -> Path:
    """Write the file that is given, for a service and a port of this machine, and one around it."""
    given = (DEPLOY / "nginx" / "batchbandit.conf").read_text()
    changes = {
        "listen 443": f"listen 127.0.0.1:{port}",
        "127.0.0.1:8000": service.removeprefix("http://"),
        "/etc/nginx/batchbandit": str(folder),
    }
    for old, new in changes.items():
        assert old in given
        given = given.replace(old, new)
    (folder / "batchbandit.conf").write_text(given)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
    return folder / "nginx.conf"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a client of nginx in front of a service that asks for tokens."""
    folder, port, authority = tmp_path_factory.mktemp("nginx"), free_port(), trustme.CA()
    made = authority.issue_cert("localhost")
    made.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    made.private_key_pem.write_to_path(folder / "key.pem")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with running_server() as server:
        headers = {"Authorization": f"Bearer {make_token(server.database_url, Role.ADMIN)}"}
        command = [program("nginx"), "-e", "stderr", "-c", str(configured(folder, server.url, port))]
        with (
            subprocess.Popen(command) as nginx,
            httpx.Client(base_url=f"https://localhost:{port}", verify=trusting, headers=headers) as http,
        ):
            try:
                deadline = time.monotonic() + READY_SECONDS
                while not is_ready(http):
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                yield http
            finally:
                nginx.terminate()


def test_a_training_talks_to_the_service_over_tls(client: httpx.Client) -> None:
    train(client)
    assert client.get("/readyz").headers["Strict-Transport-Security"] == "max-age=31536000"


def test_the_service_knows_its_own_pages_from_those_of_others(client: httpx.Client) -> None:
    own = str(client.base_url).rstrip("/")
    assert client.post("/jobs", json=job_body(), headers={"Origin": own}).status_code == 201
    foreign = {"Origin": "https://elsewhere.example.org"}
    assert client.post("/jobs", json=job_body(), headers=foreign).status_code == 403


def test_who_signs_in_gets_a_cookie_for_tls_alone(client: httpx.Client) -> None:
    token = client.headers["Authorization"].removeprefix("Bearer ")
    origin = {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    answer = client.post("/signin", data={"token": token, "next": "/"}, headers=origin)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "secure" in answer.headers["Set-Cookie"].lower()


def test_events_come_as_they_happen(client: httpx.Client) -> None:
    with client.stream("GET", "/api/v1/events", timeout=READY_SECONDS) as events:
        assert events.headers["Content-Type"].startswith("text/event-stream")
        job_id = train(client)
        assert any(job_id in line for line in events.iter_lines())
