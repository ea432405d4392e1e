"""The recorded conversations with the reference, replayed."""

import subprocess
import sys
from pathlib import Path

from benchmarks.server import Server


def test_every_recorded_conversation_is_answered_alike(server: Server, shared: Path) -> None:
    transcripts = shared / "golden" / "transcripts"
    replayed = subprocess.run(
        [sys.executable, shared / "tools" / "replay_transcripts.py", server.url, transcripts],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert f"{len(list(transcripts.iterdir()))} equal, 0 different" in replayed.stdout
