"""What the client's power limit is worth on the recorded trainings, on top of the best batch size.

``python -m benchmarks.power_limits FOLDER`` reads the traces. For every workload on every GPU, at the batch
size that is cheapest at the largest limit, it walks the recorded limits as the client does, and compares a
training at the limit that it keeps with one at the largest. The first training also profiles, which takes it
``SECONDS`` at each limit that it tries.
"""

from collections.abc import Iterable
from pathlib import Path
from statistics import mean

import click
from msgspec import Struct

from batchbandit.power_profile import Measured, Profile, cost_of_step, limits_between
from benchmarks.markdown import Table
from service.errors import OpeningError
from service.simulation.traces import POWER, RECORDINGS, Power, recorded, rows
from service.simulation.workloads import Workload

SECONDS = 9.0
"""A warm-up of 2 s, which may take twice that, and a window of 5 s."""
ETAS = (0.25, 0.5, 0.75, 1.0)


class Saving(Struct, frozen=True, kw_only=True):
    """What a training takes at the limit that is kept, by what it takes at the largest limit, less 1.

    ``first_energy`` is that of the training that profiles; ``missed`` is how much cost the walk leaves above
    the cheapest of all recorded limits, by the latter.
    """

    title: str
    batch_size: int
    limit: float
    tried: int
    energy: float
    time: float
    cost: float
    first_energy: float
    missed: float


def savings(folder: Path, eta: float) -> list[Saving]:
    """Return what the limit saves on every workload.

    Raises:
        OpeningError: The traces cannot be read.
    """
    return [_saving(folder, workload, eta) for workload in recorded(folder).workloads]


def _limits(folder: Path, workload: Workload, batch_size: int) -> dict[float, Measured]:
    """Return what was recorded at every limit, in epochs a second and watts."""
    recording = next(each for each in RECORDINGS if each.dataset == workload.name)
    table = rows(folder / f"{POWER}{workload.gpu.lower()}.csv", Power)
    found = [row for row in table if row.key == recording[:3] and row.batch_size == batch_size]
    return {
        row.power_limit: Measured(row.power_limit, 1 / row.time_per_epoch, row.average_power) for row in found
    }


def _saving(folder: Path, workload: Workload, eta: float) -> Saving:
    """Walk the limits as the client does, and compare."""
    batch_size = workload.best_batch_size(eta)
    found = _limits(folder, workload, batch_size)
    largest = found[max(found)]
    # A limit in the client's grid that was not recorded, as some of the lowest, cannot be tried here.
    grid = [limit for limit in limits_between(min(found), max(found)) if limit in found]
    profile = Profile(grid, eta, workload.max_power)
    while not profile.is_over:
        measured = found[profile.limit]
        profile.note(measured.throughput, measured.power)
    kept = found[profile.cheapest]

    def cost(measured: Measured) -> float:
        return cost_of_step(measured, eta, workload.max_power)

    epochs = workload.goal.epochs_to_success([run.curve for run in workload.runs[batch_size]])
    largest_energy = epochs * largest.power / largest.throughput
    return Saving(
        title=workload.title,
        batch_size=batch_size,
        limit=kept.limit,
        tried=len(profile.measured),
        energy=kept.power / kept.throughput * largest.throughput / largest.power - 1,
        time=largest.throughput / kept.throughput - 1,
        cost=cost(kept) / cost(largest) - 1,
        first_energy=_first_energy(profile.measured, kept, epochs) / largest_energy - 1,
        missed=cost(kept) / min(map(cost, found.values())) - 1,
    )


def _first_energy(tried: Iterable[Measured], kept: Measured, epochs: float) -> float:
    """Return the joules of a training that profiles: some seconds at each limit, the rest at the one kept."""
    joules = 0.0
    for measured in tried:
        trained = min(epochs, SECONDS * measured.throughput)
        joules += trained / measured.throughput * measured.power
        epochs -= trained
    return joules + epochs / kept.throughput * kept.power


def table_of(each: list[Saving]) -> Table:
    """Return the savings, and their means in the last row."""
    rows = [
        (
            saving.title,
            str(saving.batch_size),
            f"{saving.limit:g}",
            str(saving.tried),
            *_shares(saving),
        )
        for saving in each
    ]
    names = ("energy", "time", "cost", "first_energy", "missed")
    means = [f"{mean(getattr(saving, name) for saving in each):+.1%}" for name in names]
    return Table(
        ("workload", "batch size", "limit W", "tried", "energy", "time", "cost", "energy, first", "missed"),
        [*rows, ("mean", "", "", f"{mean(saving.tried for saving in each):.1f}", *means)],
    )


def _shares(saving: Saving) -> list[str]:
    shares = (saving.energy, saving.time, saving.cost, saving.first_energy, saving.missed)
    return [f"{share:+.1%}" for share in shares]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    """Print what the client's power limit is worth on the recorded trainings in FOLDER."""
    try:
        for eta in ETAS:
            print(f"\neta {eta:g}\n\n{table_of(savings(folder, eta)).markdown()}")
    except OpeningError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
