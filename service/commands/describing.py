"""Jobs, trials and decisions in words."""

from rich.text import Text

from core.records import LIKE_IT, Policy, Stage
from service.commands.drawing import batch_sizes_drawn
from service.commands.printing import Listing, grid, show, standard_output
from service.logs import printable
from service.views.figures import NONE, count, joules, moment, percent, seconds
from service.views.shapes import DecisionView, JobSummary, JobView, SavingsView, TrialView

STAGES = {Stage.PRUNING: "pruning", Stage.MAB: "bandit"}


def jobs_table() -> Listing:
    """Return an empty list of jobs."""
    headings = (
        "job",
        "stage",
        "activity",
        "default",
        "best",
        "trials",
        "saved",
        "last activity (UTC)",
        "trouble",
    )
    return Listing(
        *headings,
        numbers=("default", "best", "trials", "saved"),
        names=("job",),
        spare=("last activity (UTC)", "default", "stage", "trials", "activity"),
    )


def add_job(jobs: Listing, job: JobSummary) -> None:
    """Add a job to the list."""
    trouble = Text(job.problem.trouble.value, style="bold red") if job.problem else ""
    jobs.add_row(
        printable(job.job_id),
        STAGES[job.stage],
        job.activity.value,
        str(job.default_batch_size),
        NONE if job.best_batch_size is None else str(job.best_batch_size),
        count(trials_of(job)),
        percent(job.savings.share) if job.savings else NONE,
        moment(job.last_activity),
        trouble,
    )


def trials_of(job: JobSummary) -> int:
    """Return how many trials a job has had."""
    return job.num_running + job.num_converged + job.num_unconverged + job.num_failed


def show_job(job: JobView) -> None:
    """Say in a screen what a job chooses, why, what it has saved, and whether anything is wrong."""
    facts = grid()
    if job.problem:
        facts.add_row("trouble", Text(printable(job.problem.sentence), style="bold red"))
    facts.add_row("state", state_of(job))
    facts.add_row("batch size", best_of(job))
    facts.add_row("saved", savings_of(job.savings))
    if job.savings:
        facts.add_row("", Text(printable(job.savings.how), style="dim"))
    facts.add_row("trials", trials_said(job))
    facts.add_row("cost", cost_said(job))
    facts.add_row("ended by", ends_said(job))
    if job.registered:
        changed = ", ".join(f"{name} (was {value})" for name, value in job.registered.items())
        facts.add_row("changed", printable(changed))
    if job.specification.warm_start_from is not None:
        facts.add_row("began with", beginning_said(job.specification.warm_start_from))
    if job.num_drifts:
        facts.add_row(
            "drifts", f"{count(job.num_drifts)}: trainings cost something else than they had before"
        )
    if job.last_decision:
        decision = job.last_decision
        facts.add_row("last choice", f"trial {decision.trial_number}: {printable(decision.sentence)}")
    name = Text(printable(job.job_id), style="bold")
    show(name, facts, "", batch_sizes_drawn(job, standard_output()))


def state_of(job: JobView) -> str:
    """Return where a job stands."""
    stage = STAGES[job.stage]
    if job.round:
        stage += f", round {job.round.number} of {job.round.of}"
    return f"{job.activity.value}, {stage} (policy {job.policy.value})"


def beginning_said(source: str) -> str:
    """Return the jobs with whose costs a job began."""
    return (
        "what jobs with its prefix had shown" if source == LIKE_IT else f"what {printable(source)} had shown"
    )


def best_of(job: JobView) -> str:
    """Return the best batch size so far, and the one to hold it against."""
    if job.best_batch_size is None:
        return f"none is known to be best yet, the default is {job.default_batch_size}"
    sure = ""
    if job.probability_best is not None:
        sure = f" (with a probability of {percent(job.probability_best)})"
    if job.best_batch_size == job.default_batch_size:
        return f"{job.best_batch_size} is best{sure}, which is the default"
    return f"{job.best_batch_size} is best{sure}, the default is {job.default_batch_size}"


def savings_of(savings: SavingsView | None) -> Text:
    """Return what was saved against the default batch size."""
    if savings is None:
        return Text("not known while no training has converged at the default batch size")
    what = f"{joules(savings.energy)} and {seconds(savings.time)}: {percent(savings.share)} of the cost"
    if savings.share < 0:
        return Text(f"{what}, so far more was spent", style="yellow")
    return Text(what, style="green")


def trials_said(job: JobSummary) -> str:
    """Return how the trials of a job have ended."""
    return (
        f"{count(trials_of(job))}: {count(job.num_converged)} converged, {count(job.num_unconverged)} did "
        f"not, {count(job.num_failed)} failed, {count(job.num_running)} running"
    )


def cost_said(job: JobView) -> str:
    """Return what a cost is to this job."""
    terms = job.specification
    return f"{terms.eta_knob:g} x energy + {1 - terms.eta_knob:g} x {terms.max_power:g} W x time"


def ends_said(job: JobView) -> str:
    """Return what ends a training of this job."""
    terms = job.specification
    at_least = "at least" if terms.higher_is_better_metric else "at most"
    bound = "no cost"
    if terms.beta_knob is not None:
        bound = f"{terms.beta_knob:g} times {LEAST[job.policy]}"
    return f"a metric of {at_least} {terms.target_metric:g}, {bound}, or {terms.max_epochs} epochs"


LEAST = {
    Policy.ZEUS: "the lowest cost",
    Policy.FRUGAL: "what the best batch size costs, or what is not worth it",
}
"""What a policy holds a training's cost against."""


def trials_table() -> Listing:
    """Return an empty list of trials."""
    headings = (
        "trial",
        "batch size",
        "type",
        "rule",
        "status",
        "epochs",
        "time",
        "energy",
        "cost",
        "started (UTC)",
        "note",
    )
    numbers = ("trial", "batch size", "epochs", "time", "energy", "cost")
    spare = ("started (UTC)", "type", "epochs", "rule", "time", "energy", "cost")
    return Listing(*headings, numbers=numbers, names=("note",), spare=spare)


def add_trial(trials: Listing, trial: TrialView) -> None:
    """Add a trial to the list."""
    outcome = trial.status.value.lower()
    if trial.converged is not None:
        outcome = "converged" if trial.converged else "not converged"
    notes = [printable(trial.failure_reason)] if trial.failure_reason else []
    if trial.is_late:
        notes.append("late")
    if trial.drifted_from is not None:
        notes.append(f"drift: expected {joules(trial.drifted_from)}")
    trials.add_row(
        str(trial.trial_number),
        str(trial.batch_size),
        trial.type.value.lower(),
        trial.rule.value if trial.rule else NONE,
        outcome,
        NONE if trial.epochs is None else count(trial.epochs),
        seconds(trial.time),
        joules(trial.energy),
        joules(trial.cost),
        moment(trial.start_timestamp),
        Text(", ".join(notes)),
        style="red" if trial.failure_reason else "",
    )


def show_decision(decision: DecisionView) -> None:
    """Say why a trial has its batch size, and what was known of the others."""
    show(printable(decision.sentence))
    if not decision.arms:
        return
    numbers = ("batch size", "mean cost", "deviation", "observations", "drawn cost")
    weighed = Listing(*numbers, "", numbers=numbers, spare=("observations", "deviation"))
    for arm in decision.arms:
        is_chosen = arm.batch_size == decision.batch_size
        weighed.add_row(
            str(arm.batch_size),
            joules(arm.mean_cost),
            joules(arm.deviation),
            str(arm.num_observations),
            joules(arm.sampled_cost),
            "chosen" if is_chosen else "",
            style="bold green" if is_chosen else "",
        )
    show("", weighed)
