"""A Debian that systemd has started, beside the machine's own."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from tests.deploy.programs import program
from tests.deploy.rehearsal.engine import STAND_INS, Engine

BOOT_SECONDS = 60
STOP_SECONDS = 30


class Machine(Struct, frozen=True):
    """A machine that runs: the process that is its first, and its root as seen from here."""

    leader: int
    root: Path

    def tried(self, commands: str) -> subprocess.CompletedProcess[str]:
        """Return how commands ended that a shell ran in the folder where its users work."""
        shell = ["/bin/bash", "-euo", "pipefail", "-c", f"cd /srv && {commands}"]
        inside = [program("nsenter"), "--all", "--target", str(self.leader), "--", *shell]
        return subprocess.run(inside, check=False, capture_output=True, text=True)

    def said(self, commands: str) -> str:
        """Return what commands print on standard output; it fails where they do."""
        done = self.tried(commands)
        assert done.returncode == 0, f"{commands}: {done.stdout}{done.stderr}"
        return done.stdout.strip()


@contextmanager
def running_machine(engine: Engine) -> Iterator[Machine]:
    """Boot a Debian that has the service's environment, with a network of its own; end it."""
    booting = program("systemd-nspawn")
    with TemporaryDirectory(prefix="batchbandit-machine-") as name:
        root = Path(name) / "root"
        root.mkdir()
        engine.said("build", "--quiet", "--tag", "machine", STAND_INS / "systemd")
        engine.said("create", "--name", "machine", "machine")
        engine.run('docker export machine | tar --extract --directory "$ROOT"', root, ROOT=str(root))
        # It boots as a systemd of today does, also where the machine's own cgroups are those of before.
        environment = os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        options = ["--boot", "--private-network", "--register=no", "--keep-unit", "--console=pipe"]
        with (Path(name) / "log").open("wb") as log:
            process = subprocess.Popen(
                [booting, *options, "--directory", root],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        try:
            yield booted(process, root)
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def booted(process: subprocess.Popen[bytes], root: Path) -> Machine:
    """Wait until a machine has started; return it."""
    deadline = time.monotonic() + BOOT_SECONDS
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while True:
        assert process.poll() is None, (root.parent / "log").read_text()
        assert time.monotonic() < deadline, (root.parent / "log").read_text()
        leaders = children.read_text().split()
        if leaders:
            machine = Machine(int(leaders[-1]), root)
            if machine.tried("systemctl is-system-running").stdout.strip() in {"running", "degraded"}:
                return machine
        time.sleep(0.2)
