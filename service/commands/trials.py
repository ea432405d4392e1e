"""The commands about the trials of a job; they ask a running service."""

from http import HTTPMethod

import click

from core.records import TrialStatus, TrialType
from service.commands.calling import Service, calls_service, job_path
from service.commands.describing import add_trial, show_decision, trials_table
from service.commands.examples import examples
from service.commands.jobs import every, limit, tell_rest, words
from service.commands.names import job_argument
from service.commands.printing import as_json, print_json, show
from service.views.shapes import DecisionView, TrialsView


@click.group(
    epilog=examples(
        "batchbandit trials ls resnet-nightly --limit 10",
        "batchbandit trials why resnet-nightly 42",
        has_codes=True,
    )
)
def trials() -> None:
    """Look at the trials of a job; a running service is asked."""


@trials.command(
    epilog=examples(
        "batchbandit trials ls resnet-nightly --status failed",
        "batchbandit trials ls resnet-nightly --all --order oldest --json | jq .cost",
    )
)
@job_argument
@click.option("--status", type=words(TrialStatus), help="Trials of this status.")
@click.option("--type", "type_", type=words(TrialType), help="Trials of this type.")
@click.option("--batch-size", type=click.IntRange(1, 2**31 - 1), help="Trials of this batch size.")
@click.option(
    "--converged/--not-converged", default=None, help="Trials that reached the target, or that did not."
)
@click.option(
    "--order",
    type=click.Choice(["newest", "oldest"]),
    default="newest",
    show_default=True,
    help="Which come first.",
)
@limit
@every
@as_json
@calls_service
def ls(
    service: Service,
    /,
    *,
    job_id: str,
    type_: str | None,
    limit: int,
    is_all: bool,
    as_json: bool,
    **filters: str | int | bool | None,
) -> None:
    """List the trials of a job: what each used, took and came to."""
    pages = service.pages(
        job_path(job_id, "trials"), TrialsView, {**filters, "type": type_}, None if is_all else limit
    )
    listed = trials_table()
    has_more = False
    for page in pages:
        has_more = page.next is not None
        for trial in page.trials:
            if as_json:
                print_json(trial)
            else:
                add_trial(listed, trial)
    if not as_json:
        show(listed)
        tell_rest(len(listed), "trials", has_more=has_more)


@trials.command(epilog=examples("batchbandit trials why resnet-nightly 42"))
@job_argument
@click.argument("trial_number", metavar="NUMBER", type=click.IntRange(1, 2**31 - 1))
@as_json
@calls_service
def why(service: Service, /, *, job_id: str, trial_number: int, as_json: bool) -> None:
    """Say why a trial has its batch size, and what was known of the others at that moment."""
    path = job_path(job_id, "trials", str(trial_number), "decision")
    decision = service.ask(HTTPMethod.GET, path, DecisionView)
    if as_json:
        print_json(decision)
    else:
        show_decision(decision)
