"""TLS of the service's own, with a certificate made for the test."""

import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import trustme
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from benchmarks.server import free_port
from service.cli import main
from service.tls import Certificate
from tests.service.access.holders import PATIENCE_SECONDS, until

PROGRAM = str(Path(sys.executable).parent / "batchbandit")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return who vouches for the certificates."""
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the options that name a certificate for this machine."""
    return options_of(authority, tmp_path_factory.mktemp("tls"))


def options_of(authority: trustme.CA, folder: Path) -> list[str]:
    """Write a new certificate and its key; return the options that name them."""
    made = authority.issue_cert("127.0.0.1", "localhost")
    made.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    made.private_key_pem.write_to_path(folder / "key.pem")
    return ["--tls-certificate", str(folder / "certificate.pem"), "--tls-key", str(folder / "key.pem")]


@contextmanager
def running(
    url: str, authority: trustme.CA, folder: Path, *options: str
) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """Serve a database; give the process and a client that trusts the authority alone."""
    port = free_port()
    command = [PROGRAM, "serve", "--port", str(port), "--database-url", url, *options]
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with (
        (folder / "server.log").open("w") as log,
        subprocess.Popen(command, stderr=log) as process,
        httpx.Client(
            base_url=f"https://127.0.0.1:{port}", verify=trusting, timeout=30, trust_env=False
        ) as http,
    ):
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not is_ready(http):
                assert time.monotonic() < deadline, (folder / "server.log").read_text()
                time.sleep(0.05)
            yield process, http
        finally:
            process.terminate()


@contextmanager
def served(url: str, authority: trustme.CA, folder: Path, *options: str) -> Iterator[httpx.Client]:
    """Serve a database; give a client that trusts the authority alone."""
    with running(url, authority, folder, *options) as (_, http):
        yield http


def is_ready(http: httpx.Client) -> bool:
    """Tell whether a service can be asked."""
    try:
        return http.get("/readyz").is_success
    except httpx.ConnectError:
        return False


def refused(tmp_path: Path, *options: str) -> str:
    """Return what a service that does not start says."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"
    ended = CliRunner().invoke(main, ["serve", "--port", "0", "--database-url", url, *options])
    assert ended.exit_code == 2, ended.output
    assert not (tmp_path / "batchbandit.db").exists()
    return ended.stderr


def test_it_is_served_and_browsers_are_told_to_stay_with_it(
    authority: trustme.CA, files: list[str], tmp_path: Path
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"
    with served(url, authority, tmp_path, *files) as http:
        answer = http.get("/openapi.json")
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        own = str(http.base_url).rstrip("/")
        assert http.get("/openapi.json", headers={"Origin": own}).status_code == 200
        plain = own.replace("https", "http")
        assert http.get("/openapi.json", headers={"Origin": plain}).status_code == 403
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{plain}/openapi.json", trust_env=False)
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{own}/openapi.json", trust_env=False)
    assert "on https://127.0.0.1" in (tmp_path / "server.log").read_text()


def test_several_workers_speak_it(
    authority: trustme.CA, files: list[str], new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    with served(new_postgres_url(), authority, tmp_path, "--workers", "2", *files) as http:
        assert http.get("/openapi.json").headers["strict-transport-security"]


@pytest.mark.parametrize("place", [0, 2])
def test_a_certificate_and_a_key_go_together(files: list[str], tmp_path: Path, place: int) -> None:
    assert "go together" in refused(tmp_path, *files[place : place + 2])


def test_a_file_that_is_missing_is_said(files: list[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    sentence = refused(tmp_path, *files[:2], "--tls-key", missing)
    assert missing in sentence
    assert "No such file" in sentence


def test_files_that_are_no_certificate_are_said(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    sentence = refused(tmp_path, "--tls-certificate", str(tmp_path / "text.pem"), *files[2:])
    assert "cannot be used" in sentence


def test_the_key_of_another_certificate_is_said(
    authority: trustme.CA, files: list[str], tmp_path: Path
) -> None:
    others = options_of(authority, tmp_path)
    assert "KEY_VALUES_MISMATCH" in refused(tmp_path, *files[:2], *others[2:])


def test_a_key_with_a_passphrase_is_said_and_nobody_is_asked_for_it(files: list[str], tmp_path: Path) -> None:
    key = load_pem_private_key(Path(files[3]).read_bytes(), None)
    locked = BestAvailableEncryption(b"passphrase")
    (tmp_path / "locked.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, locked)
    )
    assert "without a passphrase" in refused(tmp_path, *files[:2], "--tls-key", str(tmp_path / "locked.pem"))


def silent(http: httpx.Client) -> socket.socket:
    """Open a connection to a service and say nothing."""
    return socket.create_connection((http.base_url.host, http.base_url.port), PATIENCE_SECONDS)


def answers(http: httpx.Client) -> bool:
    """Tell whether a service answers."""
    try:
        return http.get("/healthz").is_success
    except httpx.TransportError:
        return False


def test_silent_connections_count_before_they_speak_it(
    authority: trustme.CA, files: list[str], tmp_path: Path
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"
    limit = ("--connection-limit", "20")
    with running(url, authority, tmp_path, *limit, *files) as (process, http), ExitStack() as opened:
        http.headers["Connection"] = "close"
        for _ in range(100):
            opened.enter_context(silent(http))
        until(lambda: answers(http))  # on a busy machine one that has just come may be the one to go
        until(lambda: len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < 60)


def test_a_handshake_that_takes_too_long_ends(
    authority: trustme.CA, files: list[str], tmp_path: Path
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"
    with (
        served(url, authority, tmp_path, "--client-seconds", "1", *files) as http,
        silent(http) as client,
        silent(http) as begun,
    ):
        begun.send(bytes.fromhex("1603010200010001fc0303"))
        assert client.recv(1) == b""
        assert begun.recv(1) == b""
    assert "Traceback" not in (tmp_path / "server.log").read_text()


def test_neither_idle_nor_silent_clients_hold_the_end_up(
    authority: trustme.CA, files: list[str], tmp_path: Path
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"
    with running(url, authority, tmp_path, *files) as (process, http), silent(http):
        assert http.get("/healthz").status_code == 200
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
    said = (tmp_path / "server.log").read_text()
    assert "timeout graceful shutdown exceeded" not in said
    assert "Traceback" not in said


def test_no_cipher_leaves_out_secrecy_or_the_certificate(
    authority: trustme.CA, files: list[str], tmp_path: Path
) -> None:
    context = Certificate(files[1], files[3]).context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    described = [str(cipher["description"]) for cipher in context.get_ciphers()]
    assert described
    assert not [cipher for cipher in described if "Enc=None" in cipher or "Au=None" in cipher]
    weak = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    weak.check_hostname = False
    weak.verify_mode = ssl.CERT_NONE
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("aNULL:eNULL:@SECLEVEL=0")
    url = f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"
    with (
        served(url, authority, tmp_path, *files) as http,
        silent(http) as client,
        pytest.raises(ssl.SSLError),
    ):
        weak.wrap_socket(client)
