"""The health check of the image says whether the service can serve."""

import os
import subprocess
import sys
import time
from pathlib import Path

import trustme

from benchmarks.server import START_LIMIT, free_port, launch, running_server
from tests.deploy.programs import DEPLOY

PROGRAM = str(Path(sys.executable).parent / "batchbandit")


def asked(port: int, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the check beside a service; return how it ended."""
    return subprocess.run(
        [sys.executable, DEPLOY / "readiness.py"],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"BATCHBANDIT_PORT": str(port)} | variables,
        timeout=START_LIMIT,
    )


def test_a_service_that_can_serve_is_healthy() -> None:
    with running_server() as server:
        told = asked(int(server.url.rpartition(":")[2]))
    assert (told.returncode, told.stderr) == (0, "/readyz answers 200\n")


def test_nobody_there_is_not_healthy() -> None:
    told = asked(free_port())
    assert told.returncode == 1
    assert "Connection refused" in told.stderr


def test_a_draining_service_is_not_healthy(tmp_path: Path) -> None:
    port = free_port()
    database = f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"
    options = ["--port", str(port), "--drain-seconds", "60", "--database-url", database]
    child = launch([PROGRAM, "serve", *options], port, tmp_path / "server.log")
    try:
        child.process.terminate()
        deadline = time.monotonic() + START_LIMIT
        while (told := asked(port)).returncode == 0:
            assert time.monotonic() < deadline
    finally:
        child.process.kill()
        child.process.wait()
    assert (told.returncode, told.stderr) == (1, "/readyz answers 503\n")


def test_it_speaks_tls_where_the_service_does(tmp_path: Path) -> None:
    made = trustme.CA().issue_cert("bandit.example.org")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made.cert_chain_pems[0].write_to_path(certificate)
    made.private_key_pem.write_to_path(key)
    port = free_port()
    settings = {
        "BATCHBANDIT_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}",
        "BATCHBANDIT_PORT": str(port),
        "BATCHBANDIT_TLS_CERTIFICATE": str(certificate),
        "BATCHBANDIT_TLS_KEY": str(key),
    }
    with subprocess.Popen(
        [PROGRAM, "serve"], env=os.environ | settings, stderr=subprocess.DEVNULL
    ) as process:
        try:
            deadline = time.monotonic() + START_LIMIT
            while (told := asked(port, **settings)).returncode != 0:
                assert time.monotonic() < deadline, told.stderr
        finally:
            process.terminate()
    assert told.stderr == "/readyz answers 200\n"
