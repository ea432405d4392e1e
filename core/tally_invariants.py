"""What is counted of a job held against its trials."""

import math
from collections.abc import Iterator, Sequence

from core.finding import Finding
from core.records import Job, Trial, TrialStatus

RECOUNT = "run: batchbandit db recount"
ROUNDING = 1e-9
"""How far sums may be apart, relative to them: they are added up in another order each time."""


def tally_findings(job: Job, trials: Sequence[Trial]) -> Iterator[Finding]:
    """Go through the counts and sums of a job that are not those of all its trials."""
    ended = [trial for trial in trials if trial.status is TrialStatus.SUCCEEDED]
    usual = [trial for trial in ended if trial.converged and trial.batch_size == job.default_batch_size]
    counted = {
        "num_converged": sum(bool(trial.converged) for trial in ended),
        "num_unconverged": sum(trial.converged is False for trial in ended),
        "num_failed": sum(trial.status is TrialStatus.FAILED for trial in trials),
        "num_default": len(usual),
        "num_drifts": sum(trial.drifted_from is not None for trial in ended),
        "spent_time": math.fsum(trial.time or 0 for trial in ended),
        "spent_energy": math.fsum(trial.energy or 0 for trial in ended),
        "default_time": math.fsum(trial.time or 0 for trial in usual),
        "default_energy": math.fsum(trial.energy or 0 for trial in usual),
    }
    for name, of_trials in counted.items():
        kept = getattr(job, name)
        if not math.isclose(kept, of_trials, rel_tol=ROUNDING):
            yield Finding(job.job_id, None, f"{name} is {kept}, and its trials make {of_trials}", RECOUNT)
    if (job.last_activity is None) != (not trials):
        what = f"last_activity is {job.last_activity}, and it has {len(trials)} trials"
        yield Finding(job.job_id, None, what, RECOUNT)
