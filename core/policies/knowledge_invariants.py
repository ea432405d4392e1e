"""What policy ``frugal`` keeps of a job held against the trials that have shown it."""

from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec

from core.finding import RESTORE, Finding
from core.kept import Kept, counted_trials
from core.policies.knowledge import Knowledge, read
from core.policies.thinking import Thinker
from core.records import Arm, Job, Trial, TrialStatus


def knowledge_findings(kept: Kept) -> Iterator[Finding]:
    """Go through what is known of a job, or of a batch size of it, that no trial has shown."""
    job = kept.job
    try:
        known = read(job.knowledge or "")
    except msgspec.DecodeError as error:
        yield Finding(job.job_id, None, f"what is known of it cannot be read ({error})", RESTORE)
        return
    named = {
        *known.seen,
        *known.curves,
        *known.inherited,
        *known.before,
        *(one.batch_size for one in known.suspects),
    }
    if list(known.batch_sizes) != sorted(kept.batch_sizes) or not named <= set(known.batch_sizes):
        yield Finding(job.job_id, None, "what is known of it is of other batch sizes", RESTORE)
    else:
        yield from _of_leader(job, known)
    trials = counted_trials(kept)
    yield from _of_results(job.job_id, known, trials, kept.arms)
    yield from _of_running(job.job_id, known, trials)


def _of_results(
    job_id: str, known: Knowledge, trials: list[Trial], arms: Mapping[int, Arm]
) -> Iterator[Finding]:
    shown = Counter(trial.batch_size for trial in trials if trial.status is TrialStatus.SUCCEEDED)
    for size, seen in known.seen.items():
        if seen.results > shown[size]:
            what = f"{seen.results} results are known and its trials have {shown[size]}"
            yield Finding(job_id, size, what, RESTORE)
    for size in arms.keys() ^ known.seen.keys():
        what = "it has an arm and nothing is known of it" if size in arms else "it is known and has no arm"
        yield Finding(job_id, size, what, RESTORE)
    for size in shown.keys() - known.seen.keys():
        yield Finding(job_id, size, f"its {shown[size]} results are not known", RESTORE)


def _of_leader(job: Job, known: Knowledge) -> Iterator[Finding]:
    """What is known makes beliefs, and the best of what has converged is known to be that."""
    converged = {size for size, seen in known.seen.items() if seen.successes > 0}
    leader = known.leader
    if (leader is None) != (not converged) or (leader is not None and leader.batch_size not in converged):
        what = (
            f"{'nothing' if leader is None else leader.batch_size} is said to be the best that has converged"
        )
        yield Finding(job.job_id, None, what, RESTORE)
    try:
        is_believable = Thinker(job, known).is_believable
    except (KeyError, ValueError):
        is_believable = False
    if not is_believable:
        yield Finding(job.job_id, None, "what is known of it makes no costs", RESTORE)


def _of_running(job_id: str, known: Knowledge, trials: list[Trial]) -> Iterator[Finding]:
    running = {
        trial.trial_number: trial.batch_size for trial in trials if trial.status is TrialStatus.DISPATCHED
    }
    for number, size in known.running.items():
        if running.get(number) != size:
            yield Finding(job_id, size, f"trial {number} is believed to run and does not", RESTORE)
