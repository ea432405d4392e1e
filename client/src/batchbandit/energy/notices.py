"""Warnings that are said once in a process, however often their cause is met."""

from __future__ import annotations

import logging

logger = logging.getLogger("batchbandit")
_said: set[str] = set()


def warn_once(sentence: str) -> None:
    """Log a warning, unless it was logged before."""
    if sentence not in _said:
        _said.add(sentence)
        logger.warning(sentence)


def forget() -> None:
    """Let every warning be said again."""
    _said.clear()
