"""What is wrong with a job, in a sentence that says what to do."""

from collections.abc import Mapping, Sequence

from core.errors import NoBatchSizeLeft
from core.failures import WHOLE, all_aside, described, reset_call, usable
from core.pruning import walk
from core.records import Job, Stage, Trial
from service.views.shapes import Problem, Trouble


def may_be_at_a_dead_end(job: Job) -> bool:
    """Tell whether a job may have come to the end of its walk: something was tried there in vain."""
    return job.stage is Stage.PRUNING and (job.num_unconverged > 0 or bool(job.failures))


def problem_of(job: Job, sizes: Sequence[int], explorations: Mapping[int, Sequence[Trial]]) -> Problem | None:
    """Return what is wrong with a job, None where nothing is.

    Args:
        job: The job.
        sizes: What it can choose from: its batch sizes, or those of its arms once it has pruned.
        explorations: As ``core.pruning.walk`` takes them, where the job is in the pruning stage.
    """
    try:
        _see_a_way_on(job, sizes, explorations)
    except NoBatchSizeLeft as error:
        return Problem(Trouble.STUCK, str(error))
    sentence = _failing(job)
    return Problem(Trouble.FAILING, sentence) if sentence else None


def _see_a_way_on(job: Job, sizes: Sequence[int], explorations: Mapping[int, Sequence[Trial]]) -> None:
    """See that there is a batch size for the next training.

    Raises:
        NoBatchSizeLeft: There is none.
    """
    if may_be_at_a_dead_end(job) and not job.is_paused:  # else it is given the best one so far
        walk(job, sizes, explorations)
    if sizes and not usable(job, sizes):
        raise NoBatchSizeLeft(all_aside(job))


def _failing(job: Job) -> str | None:
    """Return what is to be said of trainings that fail in a row, None where none do."""
    aside = described(job).strip()
    if aside:
        return f"{aside} Mend what made trainings fail there and start over: {reset_call(job)}."
    thirds, size = max(((seen.thirds, size) for size, seen in job.failures.items()), default=(0, 0))
    if thirds < WHOLE:
        return None
    reason = job.failures[size].reason or "no reason given"
    return (
        f"The last trainings at batch size {size} have failed ({reason}), which counts as "
        f"{thirds / WHOLE:.3g} of the {job.max_failures} failures in a row after which it is set aside. Look "
        "into their logs and mend what makes them fail."
    )
