"""What a report means: go on, or stop and why."""

import math

from core.cost import reported_cost
from core.records import Job, Report, Verdict

GOING_ON = Verdict(stop_train=False, converged=False, message="Stop condition not met, keep training")
SUCCEEDED = "Train succeeded"


def has_reached(job: Job, metric: float) -> bool:
    """Tell whether a metric is the job's target, or better."""
    return metric >= job.target_metric if job.higher_is_better_metric else metric <= job.target_metric


def out_of_epochs(job: Job) -> str:
    """Return what a training is told that has no epoch left."""
    return f"Train failed to converge within max_epoch({job.max_epochs})"


def judge(job: Job, report: Report) -> Verdict:
    """Judge a report of a Dispatched trial.

    Training goes on while its cost is within ``beta_knob * min_cost`` (no bound where either is missing), an
    epoch is left and the target is not reached.

    Raises:
        CostOutOfRange: The reported cost is not a cost.
    """
    cost = reported_cost(job, report.time, report.energy)
    bound = math.inf if job.beta_knob is None or job.min_cost is None else job.beta_knob * job.min_cost
    within_bound = cost <= bound
    reached = has_reached(job, report.metric)

    if within_bound and not reached and report.current_epoch < job.max_epochs:
        return GOING_ON
    if not within_bound:
        message = (
            f"Batch Size({report.batch_size}) exceeded the cost upper bound: "
            f"current cost({cost}) > beta_knob({job.beta_knob})*min_cost({job.min_cost})"
        )
    elif reached:
        message = SUCCEEDED
    else:
        message = out_of_epochs(job)
    return Verdict(stop_train=True, converged=reached and within_bound, message=message)
