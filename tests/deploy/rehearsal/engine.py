"""A Docker engine of one's own, with images that stand in for those of a registry."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from tests.conftest import ROOT
from tests.deploy.programs import program
from tests.skips import skip_without

STAND_INS = Path(__file__).parent / "images"
START_SECONDS = 60
PYTHON = "python:3.13-slim-trixie"
POSTGRES = "postgres:17"
MACHINES_OWN = Path("/var/run/docker.sock")
# Debian's Python where the image has its own, and whoever the machine trusts.
DEBIAN = (
    "--variant=minbase",
    "--include=ca-certificates,python3,python3-dev,python3-venv",
    '--customize-hook=ln -s ../../bin/python3 "$1/usr/local/bin/python3"',
    '--customize-hook=cat /etc/ssl/certs/ca-certificates.crt > "$1/etc/ssl/certs/ca-certificates.crt"',
    '--customize-hook=printf "[global]\\ncert = /etc/ssl/certs/ca-certificates.crt\\n" > "$1/etc/pip.conf"',
)


ASK = "python3 -m venv /tmp/asking && /tmp/asking/bin/pip download --quiet --no-deps --dest /tmp click"
CONTAINERS = "containers"
"""The privilege to run some, with a network; a container itself may not have it."""


class Engine(Struct, frozen=True):
    """A running engine; ``environment`` lets commands find it, and Docker Compose."""

    environment: Mapping[str, str]

    def said(self, *arguments: str | Path, given: bytes | None = None) -> str:
        """Return what a command of Docker prints on standard output; it fails where the command does."""
        done = self.tried(*arguments, given=given)
        assert done.returncode == 0, f"{arguments}: {done.stdout.decode()}{done.stderr.decode()}"
        return done.stdout.decode().strip()

    def tried(self, *arguments: str | Path, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """Return how a command of Docker ended."""
        command = [program("docker"), *arguments]
        return subprocess.run(command, check=False, capture_output=True, input=given, env=self.environment)

    def run(self, commands: str, folder: Path, **variables: str) -> str:
        """Return what commands of a page print on standard output, run by a shell that stops at a failure."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],  # noqa: S607  (whichever the machine has)
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
            env={**self.environment, **variables},
        )
        assert done.returncode == 0, f"{commands}: {done.stdout}{done.stderr}"
        return done.stdout


@contextmanager
def running_engine() -> Iterator[Engine]:
    """Start an engine with a folder of its own; stop it, and delete all that it has made, at the end."""
    if os.geteuid() != 0:
        skip_without("a Docker engine of one's own needs root")
    if MACHINES_OWN.is_socket():
        skip_without(
            "a Docker engine runs on this machine; a second one would take its rules of iptables away",
            CONTAINERS,
        )
    with TemporaryDirectory(prefix="batchbandit-docker-") as name:
        folder = Path(name)
        socket = f"unix://{folder}/docker.sock"
        plugins = folder / "client" / "cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-compose").symlink_to(program("docker-compose"))
        roots = ["--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid"]
        with (folder / "log").open("wb") as log:
            command = [program("dockerd"), "--host", socket, *map(str, roots)]
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        engine = Engine(os.environ | {"DOCKER_HOST": socket, "DOCKER_CONFIG": str(plugins.parent)})
        try:
            deadline = time.monotonic() + START_SECONDS
            while engine.tried("version").returncode != 0:
                if process.poll() is not None or time.monotonic() > deadline:
                    skip_without(f"no Docker engine starts here: {(folder / 'log').read_text()}", CONTAINERS)
                time.sleep(0.2)
            yield engine
        finally:
            remove_containers(engine)
            process.terminate()
            process.wait()


def remove_containers(engine: Engine) -> None:
    """Stop what a test has left running."""
    left = engine.tried("ps", "--all", "--quiet").stdout.decode().split()
    if left:
        engine.tried("rm", "--force", "--volumes", *left)


def make_stand_ins(engine: Engine) -> None:
    """Make images with the names of the official ones, which no registry is asked for."""
    root = ROOT / "build" / "deploy" / "trixie.tar"
    if not root.exists():
        root.parent.mkdir(parents=True, exist_ok=True)
        making = root.with_suffix(".new.tar")
        command = [program("mmdebstrap"), "--quiet", *DEBIAN, "trixie", str(making)]
        made = subprocess.run(command, check=False, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        making.rename(root)
    engine.said("import", root, PYTHON)
    asked = engine.tried("run", "--rm", PYTHON, "sh", "-c", ASK)
    if asked.returncode != 0:
        skip_without(f"no container reaches the registry from here: {asked.stderr.decode()}", CONTAINERS)
    engine.said("build", "--quiet", "--tag", POSTGRES, STAND_INS / "postgres")
