"""The commands about jobs; they ask a running service."""

import math
import sys
from enum import StrEnum
from http import HTTPMethod
from pathlib import Path

import click
from msgspec import Struct

from core.records import Policy, Specification, Stage
from service.commands.calling import Service, calls_service, job_path
from service.commands.describing import add_job, jobs_table, show_job
from service.commands.examples import examples
from service.commands.exporting import export
from service.commands.names import job_argument
from service.commands.outcomes import Exit, Failed
from service.commands.printing import as_json, print_json, show, standard_error
from service.engine.commands import Started
from service.logs import printable
from service.views.files import Format
from service.views.shapes import Activity, JobsView, JobView, Trouble
from service.web.wire import PausedBody

SORTS = ("job_id", "last_activity", "savings", "trials")

yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
every = click.option("--all", "is_all", is_flag=True, help="Print all of them.")
limit = click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Print so many at most."
)


def words(kind: type[StrEnum]) -> click.Choice[str]:
    """Return the type of an option that takes one of some words."""
    return click.Choice([member.value for member in kind], case_sensitive=False)


@click.group(
    epilog=examples("batchbandit jobs ls --trouble failing", "batchbandit jobs show resnet", has_codes=True)
)
def jobs() -> None:
    """Look at jobs and change them; a running service is asked."""


@jobs.command(
    "ls",
    epilog=examples(
        "batchbandit jobs ls --prefix resnet --sort -savings",
        "batchbandit jobs ls --all --json | jq -r .job_id",
    ),
)
@click.option("--prefix", help="Jobs whose names begin so.")
@click.option("--stage", type=words(Stage), help="Jobs in this stage.")
@click.option("--policy", type=words(Policy), help="Jobs of this policy.")
@click.option("--activity", type=words(Activity), help="Jobs that do this.")
@click.option("--trouble", type=words(Trouble), help="Jobs with which this is wrong.")
@click.option(
    "--sort",
    type=click.Choice([sign + sort for sort in SORTS for sign in ("", "-")]),
    default="job_id",
    show_default=True,
    help="What they are sorted by; with a minus the largest first.",
)
@limit
@every
@as_json
@calls_service
def ls(service: Service, /, *, limit: int, is_all: bool, as_json: bool, **filters: str | None) -> None:
    """List jobs: what each does, its best batch size, what it has saved, what is wrong with it."""
    pages = service.pages("/api/v1/jobs", JobsView, filters, None if is_all else limit)
    listed = jobs_table()
    has_more = False
    for page in pages:
        has_more = page.next is not None
        for job in page.jobs:
            if as_json:
                print_json(job)
            else:
                add_job(listed, job)
    if not as_json:
        show(listed)
        tell_rest(len(listed), "jobs", has_more=has_more)


def tell_rest(shown: int, what: str, *, has_more: bool) -> None:
    """Say on standard error that a list is empty or goes on."""
    if has_more:
        standard_error().print(f"The first {shown} {what}; --all prints all of them.", style="dim")
    elif shown == 0:
        standard_error().print(f"No {what}.", style="dim")


@jobs.command(
    "show",
    epilog=examples(
        "batchbandit jobs show resnet-nightly", "batchbandit jobs show resnet-nightly --json | jq .savings"
    ),
)
@job_argument
@as_json
@calls_service
def show_one(service: Service, /, *, job_id: str, as_json: bool) -> None:
    """Show a job: its state, what it has saved, and what it knows of every batch size."""
    job = service.ask(HTTPMethod.GET, job_path(job_id), JobView)
    if as_json:
        print_json(job)
    else:
        show_job(job)


@jobs.command(
    "export",
    epilog=examples(
        "batchbandit jobs export resnet-nightly -o trials.csv",
        "batchbandit jobs export resnet-nightly --format jsonl | jq .energy",
        "batchbandit jobs export resnet-nightly --format parquet -o trials.parquet",
    ),
)
@job_argument
@click.option(
    "--format", "form", type=words(Format), default=Format.CSV.value, show_default=True, help="What to write."
)
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write; it gets its name once it is whole. Else standard output.",
)
@as_json
@calls_service
def export_trials(service: Service, /, *, job_id: str, form: str, output: Path | None, as_json: bool) -> None:
    """Write all trials of a job to a file, or to standard output."""
    target = None if output == Path("-") else output
    if target is None and as_json:
        raise click.UsageError("--json says what was written to a file: name one with -o")
    if target is None and form == Format.PARQUET and sys.stdout.isatty():
        raise click.UsageError("Parquet is nothing to read on a terminal: name a file with -o")
    exported = export(service, job_id, Format(form), target)
    if exported is None:
        return
    if as_json:
        print_json(exported)
    else:
        click.echo(f"{printable(exported.file)}: {exported.bytes:,} bytes.", err=True)


class Removed(Struct, frozen=True):
    """A job that is gone."""

    job_id: str


@jobs.command(
    epilog=examples("batchbandit jobs rm resnet-nightly", "batchbandit jobs rm resnet-nightly --yes")
)
@job_argument
@yes
@as_json
@calls_service
def rm(service: Service, /, *, job_id: str, yes: bool, as_json: bool) -> None:
    """Delete a job and all of its trials."""
    ensure_meant(f"Delete job {job_id!r} and all of its trials?", yes=yes)
    service.ask(HTTPMethod.DELETE, "/jobs", object, {"job_id": job_id})
    tell(Removed(job_id), f"Job {job_id!r} is deleted.", as_json=as_json)


@jobs.command(epilog=examples("batchbandit jobs pause resnet-nightly"))
@job_argument
@as_json
@calls_service
def pause(service: Service, /, *, job_id: str, as_json: bool) -> None:
    """Let a job explore nothing: its trainings get the best batch size so far."""
    job = service.ask(HTTPMethod.POST, job_path(job_id, "pause"), PausedBody)
    tell(job, f"Job {job_id!r} is paused.", as_json=as_json)


@jobs.command(epilog=examples("batchbandit jobs resume resnet-nightly"))
@job_argument
@as_json
@calls_service
def resume(service: Service, /, *, job_id: str, as_json: bool) -> None:
    """Let a job that was paused go on."""
    job = service.ask(HTTPMethod.POST, job_path(job_id, "resume"), PausedBody)
    tell(job, f"Job {job_id!r} goes on.", as_json=as_json)


@jobs.command(epilog=examples("batchbandit jobs reset resnet-nightly --yes"))
@job_argument
@yes
@as_json
@calls_service
def reset(service: Service, /, *, job_id: str, yes: bool, as_json: bool) -> None:
    """Let a job start over: its trials are kept, and count in no decision any more."""
    ensure_meant(f"Let job {job_id!r} forget what it has learned?", yes=yes)
    answer = service.ask(HTTPMethod.POST, job_path(job_id, "reset"), Started)
    tell(answer, f"Job {job_id!r} starts over, with trial {answer.first_trial_number}.", as_json=as_json)


@jobs.command(
    "set",
    epilog=examples(
        "batchbandit jobs set resnet-nightly --eta 0.7",
        "batchbandit jobs set resnet-nightly --beta none --window 20",
    ),
)
@job_argument
@click.option(
    "--eta", metavar="SHARE", type=click.FloatRange(0, 1), help="How much energy counts against time."
)
@click.option(
    "--beta", metavar="NUMBER|none", help="At how many times the lowest cost trainings are stopped."
)
@click.option(
    "--window", metavar="RESULTS", type=int, help="How many results an arm is fitted on, 0 for all."
)
@click.option(
    "--max-epochs",
    metavar="EPOCHS",
    type=click.IntRange(1, 2**31 - 1),
    help="After how many epochs a training has failed to converge.",
)
@as_json
@calls_service
def change(
    service: Service,
    /,
    *,
    job_id: str,
    eta: float | None,
    beta: str | None,
    window: int | None,
    max_epochs: int | None,
    as_json: bool,
) -> None:
    """Change the terms of a job that may change; with another --eta the costs so far are computed anew."""
    named = {"eta_knob": eta, "window_size": window, "max_epochs": max_epochs}
    terms: dict[str, float | None] = {name: value for name, value in named.items() if value is not None}
    if beta is not None:
        terms["beta_knob"] = bound_of(beta)
    if not terms:
        raise click.UsageError("name what to change: --eta, --beta, --window or --max-epochs")
    changed = service.ask(HTTPMethod.PATCH, job_path(job_id), Specification, body=terms)
    said = ", ".join(f"{name} {'none' if value is None else value}" for name, value in terms.items())
    tell(changed, f"Job {job_id!r} goes on with {said}.", as_json=as_json)


def bound_of(text: str) -> float | None:
    """Return a bound, None for none.

    Raises:
        BadParameter: It is neither.
    """
    if text.lower() == "none":
        return None
    try:
        bound = float(text)
    except ValueError:
        bound = math.nan
    if not 0 < bound < math.inf:
        raise click.BadParameter(f"{text!r} is no number above 0; none is for no bound", param_hint="--beta")
    return bound


def ensure_meant(question: str, *, yes: bool) -> None:
    """Ask whether something that cannot be undone is meant.

    Raises:
        UsageError: Nobody is there to be asked.
        Failed: It is not.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked here whether this is meant: say --yes")
    try:
        is_meant = click.confirm(printable(question), err=True)
    except click.Abort:
        click.echo(err=True)
        is_meant = False
    if not is_meant:
        raise Failed(Exit.REFUSED, "nothing was done")


def tell(answer: object, sentence: str, *, as_json: bool) -> None:
    """Say what was done: to programs what the service answered, to people a sentence on standard error."""
    if as_json:
        print_json(answer)
    else:
        click.echo(printable(sentence), err=True)
