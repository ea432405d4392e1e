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

from benchmarks.recurring import Pipeline, Refused, Story, job_of
from benchmarks.server import ServerFailed, running_server, stop_when_terminated
from benchmarks.tables import arms_of, arms_table, savings_table
from service.errors import OpeningError
from service.simulation.families import Family, Trouble, synthetic
from service.simulation.traces import recorded
from service.simulation.workloads import Workload
from service.views.shapes import JobView

AT_ONCE = 4
"""Workloads that train at a time."""
LAST = 20
"""Recurrences at the end that show what was learned."""
WORKLOADS = 6
"""That are made up."""
NOISE = 0.02
"""Relative standard deviation of a training's time and energy."""
WIDTH = 100
"""Columns of output at most, and where it does not go to a terminal."""


class Unreachable(Exception):
    """The service does not answer; the message says so."""


class Service(Struct, frozen=True):
    """Where the service is, and a token that it may ask for."""

    url: str
    token: str | None = None

    def client(self) -> httpx.AsyncClient:
        """Return a client of it."""
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60, trust_env=False)


class Plan(Struct, frozen=True):
    """What to demonstrate: ``eta`` is the share of energy in the cost."""

    recurrences: int
    seed: int
    eta: float


@click.command(context_settings={"show_default": True})
@click.option(
    "--traces", type=click.Path(path_type=Path), help="A folder of recorded trainings to train from."
)
@click.option(
    "--url", envvar="BATCHBANDIT_URL", help="A service that runs, to train against and to look at afterwards."
)
@click.option(
    "--token", envvar="BATCHBANDIT_TOKEN", help="An operator's token, where that service asks for one."
)
@click.option("--recurrences", type=click.IntRange(min=1), default=60, help="Trainings of each workload.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the trainings, and of the jobs.")
@click.option("--eta", type=click.FloatRange(0, 1), default=0.5, help="Share of energy in the cost.")
def main(
    *, traces: Path | None, url: str | None, token: str | None, recurrences: int, seed: int, eta: float
) -> None:
    """Show recurring trainings against a real service, and what they save.

    Trains a family of synthetic workloads, or with --traces the recorded ones, against a server that is
    started for the purpose on a temporary database, or with --url against one that runs, whose dashboard then
    shows the jobs. Nothing is really trained: a training is a list of epochs, drawn by chance.
    """
    stop_when_terminated()
    try:
        workloads = made_up(seed) if traces is None else recorded(traces, noise=NOISE).workloads
        plan = Plan(recurrences, seed, eta)
        if url is not None:
            _demonstrate(Service(url, token), workloads, plan)
            return
        with running_server() as server:
            try:
                _demonstrate(Service(server.url), workloads, plan)
            except Unreachable as error:
                raise ServerFailed(f"{error}\n{server.last_words()}") from None
    except (OpeningError, ServerFailed, Refused, Unreachable) as error:
        raise click.ClickException(str(error)) from None


def made_up(seed: int, count: int = WORKLOADS) -> list[Workload]:
    """Return workloads that are made up: the same seed, the same workloads."""
    return synthetic(Family.VALLEY, seed, count, Trouble(noise=NOISE))


def _demonstrate(service: Service, workloads: list[Workload], plan: Plan) -> None:
    """Train, and show what came of it.

    Raises:
        Unreachable: The service does not answer.
    """
    console = Console()
    console = Console(width=min(console.width, WIDTH) if console.is_terminal else WIDTH)
    try:
        stories, jobs = asyncio.run(_train_all(service, workloads, plan, console))
    except httpx.TransportError as error:
        raise Unreachable(f"{service.url} does not answer: {error!r}") from None
    console.print()
    console.print(savings_table(stories, plan.eta, min(LAST, plan.recurrences)))
    console.print()
    console.print(
        "What the service has learned: its arms, with the mean cost of a training and its uncertainty"
    )
    tables = [arms_table(story, arms_of(job), plan.eta) for story, job in zip(stories, jobs, strict=True)]
    console.print(Columns(tables, padding=(1, 2)))


async def _train_all(
    service: Service, workloads: list[Workload], plan: Plan, console: Console
) -> tuple[list[Story], list[JobView]]:
    """Train every workload, some at the same time; return what they did, and what is known of them."""
    console.print(
        f"{len(workloads)} workloads train {plan.recurrences} times each, against {service.url}. "
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
            async with places, service.client() as client:
                pipeline = Pipeline(client, workload, np.random.default_rng([plan.seed, number]))
                await pipeline.register(plan.eta, plan.seed)
                task = progress.add_task(workload.title, total=plan.recurrences)
                for _ in range(plan.recurrences):
                    await pipeline.recur()
                    progress.advance(task)
                    progress.advance(whole)
                progress.remove_task(task)
                return pipeline.story

        stories = await asyncio.gather(
            *(train(number, workload) for number, workload in enumerate(workloads))
        )
    async with service.client() as client:
        return stories, [await job_of(client, story.job_id) for story in stories]


if __name__ == "__main__":
    main()
