"""What a training job imports to train with the batch size that costs the least."""

from __future__ import annotations

from batchbandit.jobs import JobSpec

__all__ = ["JobSpec"]
