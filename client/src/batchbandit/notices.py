"""What is said to the person who trains: each sentence once."""

from __future__ import annotations

from functools import lru_cache

from batchbandit.log import log

MOST_KEPT = 256


@lru_cache(maxsize=MOST_KEPT)
def say_once(sentence: str) -> None:
    """Warn, unless this process has said the same before."""
    log.warning("%s", sentence)
