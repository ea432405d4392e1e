"""What is wrong with a job, in a sentence that says what to do."""

from collections.abc import Mapping, Sequence

from core import policies
from core.errors import KnowledgeUnreadable, NoBatchSizeLeft
from core.failures import WHOLE, described, reset_call
from core.records import Job, Trial
from service.views.shapes import Problem, Trouble


def may_be_at_a_dead_end(job: Job) -> bool:
    """Tell whether a job may have nothing left to try: something was tried in vain."""
    return job.num_unconverged > 0 or bool(job.failures)


def problem_of(job: Job, sizes: Sequence[int], explorations: Mapping[int, Sequence[Trial]]) -> Problem | None:
    """Return what is wrong with a job, None where nothing is.

    Args:
        job: The job.
        sizes: What it can choose from: its batch sizes, or those of its arms once it has pruned. None
            where it cannot be at a dead end.
        explorations: As ``core.pruning.walk`` takes them, where the job is in the pruning stage.
    """
    try:
        if sizes:
            policies.of(job).ensure_choice(job, sizes, explorations)
    except (NoBatchSizeLeft, KnowledgeUnreadable) as error:
        return Problem(Trouble.STUCK, str(error))
    sentence = _failing(job)
    return Problem(Trouble.FAILING, sentence) if sentence else None


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
