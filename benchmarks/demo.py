"""The demonstration: recurring trainings against a real service, and what they save."""

import asyncio
from pathlib import Path

import click
import httpx
import numpy as np
from msgspec import Struct
from rich.columns import Columns
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.recurring import Pipeline, Refused, Story
from benchmarks.server import Server, ServerFailed, running_server, stop_when_terminated
from benchmarks.synthetic import synthetic
from benchmarks.tables import arms_table, read_arms, savings_table
from benchmarks.traces import TraceError, recorded
from benchmarks.workloads import Workload

AT_ONCE = 4
"""Workloads that train at a time."""
LAST = 20
"""Recurrences at the end that show what was learned."""
NOISE = 0.02
"""Relative standard deviation of a training's time and energy."""
WIDTH = 100
"""Columns of output at most, and where it does not go to a terminal."""


class Plan(Struct, frozen=True):
    """What to demonstrate: ``eta`` is the share of energy in the cost."""

    recurrences: int
    seed: int
    eta: float


@click.command(context_settings={"show_default": True})
@click.option(
    "--traces", type=click.Path(path_type=Path), help="A folder of recorded trainings to train from."
)
@click.option("--recurrences", type=click.IntRange(min=1), default=60, help="Trainings of each workload.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the trainings, and of the jobs.")
@click.option("--eta", type=click.FloatRange(0, 1), default=0.5, help="Share of energy in the cost.")
def main(traces: Path | None, recurrences: int, seed: int, eta: float) -> None:
    """Show recurring trainings against a real service, and what they save.

    Trains a family of synthetic workloads, or with --traces the recorded ones, against one server that is
    started for the purpose on a temporary database. Nothing is really trained: a training is a list of
    epochs, drawn by chance.
    """
    stop_when_terminated()
    try:
        workloads = synthetic(seed, noise=NOISE) if traces is None else recorded(traces, noise=NOISE)
        with running_server() as server:
            _demonstrate(server, workloads, Plan(recurrences, seed, eta))
    except (TraceError, ServerFailed, Refused) as error:
        raise click.ClickException(str(error)) from None


def _demonstrate(server: Server, workloads: list[Workload], plan: Plan) -> None:
    """Train, and show what came of it."""
    console = Console()
    console = Console(width=min(console.width, WIDTH) if console.is_terminal else WIDTH)
    try:
        stories = asyncio.run(_train_all(server.url, workloads, plan, console))
    except httpx.TransportError as error:
        raise ServerFailed(f"the server stopped answering: {error!r}\n{server.last_words()}") from None
    console.print()
    console.print(savings_table(stories, plan.eta, min(LAST, plan.recurrences)))
    console.print()
    console.print(
        "What the service has learned: its arms, with the mean cost of a training and its uncertainty"
    )
    tables = [arms_table(story, read_arms(server.database, story.job_id), plan.eta) for story in stories]
    console.print(Columns(tables, padding=(1, 2)))


async def _train_all(url: str, workloads: list[Workload], plan: Plan, console: Console) -> list[Story]:
    """Train every workload, some of them at the same time."""
    console.print(
        f"{len(workloads)} workloads train {plan.recurrences} times each, against {url}. "
        "What fails or is stopped early is repeated, and paid for. "
        f"Cost = {plan.eta:g} x energy + {1 - plan.eta:g} x maximum power x time."
    )
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    places = asyncio.Semaphore(AT_ONCE)
    with progress:
        whole = progress.add_task("[bold]all workloads", total=len(workloads) * plan.recurrences)

        async def train(number: int, workload: Workload) -> Story:
            async with places, httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
                pipeline = Pipeline(client, workload, np.random.default_rng([plan.seed, number]))
                await pipeline.register(plan.eta, plan.seed)
                task = progress.add_task(workload.title, total=plan.recurrences)
                for _ in range(plan.recurrences):
                    await pipeline.recur()
                    progress.advance(task)
                    progress.advance(whole)
                progress.remove_task(task)
                return pipeline.story

        return await asyncio.gather(*(train(number, workload) for number, workload in enumerate(workloads)))


if __name__ == "__main__":
    main()
