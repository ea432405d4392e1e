"""The recorded conversations with the reference, replayed."""

import subprocess
import sys
from pathlib import Path

from benchmarks.server import Server, running_server

AT_A_TIME = 6
"""Conversations, so that they share transactions; each is about a job of its own."""


def test_every_recorded_conversation_is_answered_alike(server_url: str, shared: Path) -> None:
    with running_server(server_url) as server:
        replay(server, shared)


def replay(server: Server, shared: Path) -> None:
    """Hold what a service answers in all conversations, several at a time, against what was recorded."""
    conversations = sorted((shared / "golden" / "transcripts").glob("*.jsonl.gz"))
    shares = [conversations[place::AT_A_TIME] for place in range(AT_A_TIME)]
    program: list[str | Path] = [sys.executable, shared / "tools" / "replay_transcripts.py", server.url]
    replays = [
        subprocess.Popen([*program, *share], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for share in shares
    ]
    for share, replay in zip(shares, replays, strict=True):
        said, _ = replay.communicate(timeout=200)
        assert replay.returncode == 0, said
        assert f"{len(share)} equal, 0 different" in said
