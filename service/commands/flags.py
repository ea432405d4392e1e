"""The flags of a simulation: what is trained, who decides, and where it is computed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from service.commands.jobs import words
from service.simulation.contenders import Contender
from service.simulation.families import Family

SHARE = click.FloatRange(0, 1)
PART = click.FloatRange(0, 1, max_open=True)


def trained(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take what is trained."""
    options = (
        click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path)),
        click.option(
            "--synthetic",
            "families",
            type=words(Family),
            multiple=True,
            help="A family of workloads that are made up; can be repeated.",
        ),
        click.option(
            "--workloads",
            metavar="NUMBER",
            type=click.IntRange(1, 1_000),
            default=3,
            show_default=True,
            help="How many of each family.",
        ),
        click.option(
            "--family-seed",
            metavar="SEED",
            type=click.IntRange(0, 2**31 - 1),
            default=0,
            show_default=True,
            help="Which of them.",
        ),
        click.option(
            "--hopeless",
            metavar="SHARE",
            type=PART,
            default=0.2,
            show_default=True,
            help="Of a family's batch sizes, that never reach the target.",
        ),
        click.option(
            "--unsteady",
            metavar="SHARE",
            type=PART,
            default=0.0,
            show_default=True,
            help="Of the trainings that do not, at a family's dearer batch sizes.",
        ),
        click.option(
            "--noise",
            metavar="SHARE",
            type=click.FloatRange(0, 2),
            help="Relative deviation of a training's time and energy.  [default: 0, of families 0.02]",
        ),
        click.option(
            "--failures",
            metavar="SHARE",
            type=PART,
            default=0.0,
            show_default=True,
            help="Of the trainings, that die without a result.",
        ),
        click.option(
            "--drift",
            metavar="RECURRENCE",
            type=click.IntRange(1, 10_000),
            help="After how many the costs move, and another batch size is the best.",
        ),
        click.option(
            "--dearer",
            metavar="SHARE",
            type=click.FloatRange(0.01, 10),
            default=0.5,
            show_default=True,
            help="By how much the best one is dearer than the new best one then, at least.",
        ),
        click.option(
            "--concurrency",
            type=click.IntRange(1, 1_000),
            default=1,
            show_default=True,
            help="Trainings at a time.",
        ),
        click.option(
            "--default",
            "default_batch_size",
            metavar="SIZE",
            type=click.IntRange(min=1),
            help="The default batch size.",
        ),
        click.option(
            "--max-power",
            metavar="WATTS",
            type=click.FloatRange(0, 1e100, min_open=True),
            help="Of all GPUs of a job.",
        ),
        click.option(
            "--max-epochs",
            metavar="EPOCHS",
            type=click.IntRange(1, 2**31 - 1),
            help="After how many epochs a training has failed to converge.",
        ),
    )
    return _with(options, command)


def decided(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take how often trainings recur, who decides and under which terms."""
    options = (
        click.option(
            "--recurrences",
            type=click.IntRange(1, 10_000),
            default=100,
            show_default=True,
            help="Times that each workload reaches its target.",
        ),
        click.option(
            "--seeds",
            type=click.IntRange(1, 100_000),
            default=100,
            show_default=True,
            help="Jobs of each workload, with other chance each.",
        ),
        click.option(
            "--policy",
            "policies",
            type=words(Contender),
            multiple=True,
            help="Who decides; can be repeated.  [default: all]",
        ),
        click.option(
            "--eta",
            metavar="SHARE",
            type=SHARE,
            default=0.5,
            show_default=True,
            help="How much energy counts against time, 0 to 1.",
        ),
        click.option(
            "--beta",
            metavar="NUMBER|none",
            default="2",
            show_default=True,
            help="At how many times the lowest cost trainings are stopped.",
        ),
    )
    return _with(options, command)


def computed(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take where a simulation is computed."""
    options = (
        click.option(
            "--workers",
            metavar="NUMBER",
            type=click.IntRange(1, 1_000),
            help="Processes that compute.  [default: as many as there are cores, where it takes long]",
        ),
        click.option("--dask", metavar="ADDRESS", help="The scheduler of a Dask cluster that computes."),
        click.option(
            "--url", help="A service that runs and decides in place of this program, as http://HOST:8000."
        ),
        click.option(
            "--token",
            envvar="BATCHBANDIT_TOKEN",
            show_envvar=True,
            help="The token that lets one in, where the service wants one.",
        ),
        click.option("--keep", "is_kept", is_flag=True, help="Leave the jobs in that service."),
    )
    return _with(options, command)


def ensure_of_use(context: click.Context) -> None:
    """See that every flag says something beside the others.

    Raises:
        UsageError: One does not.
    """
    given = context.params
    drift, recurrences, url = given["drift"], given["recurrences"], given["url"]
    if drift is not None and drift >= recurrences:
        raise click.UsageError(
            f"nothing comes after the last of {recurrences} recurrences: let --drift be smaller"
        )
    if url is not None and given["dask"] is not None:
        raise click.UsageError("a service decides (--url), or a cluster computes (--dask): name one of them")
    if url is None and given["is_kept"]:
        raise click.UsageError("--keep leaves jobs in a service: name one with --url, or leave --keep out")
    # One in the environment is there for all commands.
    if url is None and context.get_parameter_source("token") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--token lets one into a service: name one with --url, or leave --token out")


def _with(options: Sequence[Callable[..., Any]], command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(options):
        command = option(command)
    return command
