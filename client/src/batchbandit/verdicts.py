"""What is said of a training after an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from batchbandit.jobs import JobSpec

ALONE = "Decided without the service"


class Verdict(NamedTuple):
    """Whether to stop, whether the target was reached within the bounds, and a sentence."""

    stop_train: bool
    converged: bool
    message: str


def own_verdict(job: JobSpec, metric: float, epoch: int) -> Verdict:
    """Judge an epoch without the service: by the target and the number of epochs, not by the cost."""
    has_converged = (
        metric >= job.target_metric if job.higher_is_better_metric else metric <= job.target_metric
    )
    if has_converged:
        return Verdict(stop_train=True, converged=True, message=f"{ALONE}: the target is reached")
    if epoch >= job.max_epochs:
        sentence = f"{ALONE}: the target is not reached within {job.max_epochs} epochs"
        return Verdict(stop_train=True, converged=False, message=sentence)
    return Verdict(stop_train=False, converged=False, message=f"{ALONE}: keep training")
