"""What the tests in the frameworks' environment share."""

from __future__ import annotations

import pytest

from batchbandit import JobSpec
from batchbandit.ranks import Alone
from batchbandit.verdicts import Verdict


class Recording:
    """A trial that records what is reported, and says stop after some reports."""

    def __init__(self, stops_after: int) -> None:
        self.job = JobSpec(batch_sizes=[24], default_batch_size=24, job_id="recorded")
        self.ranks = Alone()
        self.batch_size = self.per_device_batch_size = 24
        self.begun = 0
        self.metrics: list[float] = []
        self._stops_after = stops_after

    @property
    def stopped(self) -> bool:
        """Whether to stop."""
        return len(self.metrics) >= self._stops_after

    def begin(self) -> None:
        """Count that it was begun."""
        self.begun += 1

    def report(self, metric: float) -> Verdict:
        """Record the metric."""
        assert not self.stopped, "there is nothing to report any more"
        self.metrics.append(metric)
        return Verdict(self.stopped, converged=False, message="")


@pytest.fixture
def trial() -> Recording:
    """Return a trial that stops after two reports."""
    return Recording(2)


@pytest.fixture
def endless_trial() -> Recording:
    """Return a trial that never stops."""
    return Recording(10**9)
