"""This service and the reference under the same load, alternately, in one run: ratios with their bounds."""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.contender import installed, running_reference
from benchmarks.load import LoadFailed, run_load
from benchmarks.machine import Machine, this_machine
from benchmarks.markdown import Table
from benchmarks.postgres import create_database, running_postgres
from benchmarks.server import ServerFailed, running_server, stop_when_terminated
from benchmarks.spread import Spread, ratios, spread
from benchmarks.worker import REPORT, SUGGEST

OURS, THEIRS = "batchbandit", "reference"
STORES = ("SQLite", "Postgres")
MANY = 64


class Comparison(Struct, frozen=True):
    """What both did in the same rounds; ``ratio`` is how many times better this service was."""

    what: str
    store: str
    unit: str
    ours: Spread
    theirs: Spread
    ratio: Spread


class Report(Struct, frozen=True):
    """The whole run; ``generator_cpu`` is the greatest share of a core that the load generator took."""

    machine: Machine
    rounds: int
    seconds: float
    generator_cpu: float
    comparisons: list[Comparison]


class Round(Struct, frozen=True):
    """What one server did under one load: successes a second, and the medians of its calls in ms."""

    per_second: float
    suggest: float
    report: float
    generator_cpu: float


@contextmanager
def contestants(python: Path, store: str) -> Iterator[dict[str, str]]:
    """Start both servers on databases of their own, of one kind; give their addresses."""
    with ExitStack() as running:
        databases: dict[str, str | None] = {OURS: None, THEIRS: None}
        if store == "Postgres":
            postgres = running.enter_context(running_postgres())
            databases = {name: create_database(postgres, name) for name in databases}
        ours = running.enter_context(running_server(databases[OURS]))
        theirs = running.enter_context(running_reference(python, databases[THEIRS]))
        yield {OURS: ours.url, THEIRS: theirs.url}


def measure(url: str, connections: int, seconds: float) -> Round:
    """Put a server under load, on new jobs: with history, the reference would only become slower."""
    result = asyncio.run(
        run_load(url, connections=connections, jobs=connections, seconds=seconds, warmup=seconds / 5)
    )
    suggest, report = (result.endpoints[endpoint].p50 for endpoint in (SUGGEST, REPORT))
    if suggest is None or report is None:
        raise ServerFailed(f"{url} answered nothing under {connections} connections")
    return Round(result.total.per_second, suggest, report, result.generator_cpu)


def compare(python: Path, store: str, rounds: int, seconds: float) -> tuple[list[Comparison], float]:
    """Measure both on a store; return the comparisons, and the generator's greatest share of a core."""
    loads = (MANY, 1)
    seen: dict[tuple[str, int], list[Round]] = {(name, load): [] for name in (OURS, THEIRS) for load in loads}
    with contestants(python, store) as urls:
        for number in range(rounds):
            names = (OURS, THEIRS) if number % 2 else (THEIRS, OURS)
            for load in loads:
                for name in names:
                    seen[name, load].append(measure(urls[name], load, seconds))
    many, one = ({name: seen[name, load] for name in (OURS, THEIRS)} for load in loads)
    comparisons = [
        _comparison(f"requests, {MANY} connections, {MANY} jobs", store, "1/s", *_each(many, "per_second")),
        _comparison("p50 of suggest, 1 connection", store, "ms", *_each(one, "suggest")),
        _comparison("p50 of report, 1 connection", store, "ms", *_each(one, "report")),
    ]
    return comparisons, max(each.generator_cpu for rounds_ in seen.values() for each in rounds_)


def _each(seen: dict[str, list[Round]], name: str) -> tuple[list[float], list[float]]:
    ours, theirs = ([float(getattr(each, name)) for each in seen[server]] for server in (OURS, THEIRS))
    return ours, theirs


def _comparison(what: str, store: str, unit: str, ours: list[float], theirs: list[float]) -> Comparison:
    better = ratios(ours, theirs) if unit == "1/s" else ratios(theirs, ours)
    return Comparison(what, store, unit, spread(ours), spread(theirs), better)


def markdown(report: Report) -> str:
    """Return the report for people."""
    rows = [
        (one.what, one.store, one.unit, one.ours.shown(), one.theirs.shown(), f"**{one.ratio.shown(1)}**")
        for one in report.comparisons
    ]
    machine = report.machine
    how = (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB, {machine.python}, commit "
        f"{machine.commit}, {machine.date}. {report.rounds} rounds of {report.seconds:g} s, the servers "
        "alternately under the same load generator, each round on jobs of its own; medians, with the "
        "least and the most in brackets. A ratio is of one round: how many times more requests, or how "
        f"many times less latency. The generator took at most {report.generator_cpu:.0%} of a core, on "
        "the cores that the servers ran on."
    )
    table = Table(("what", "store", "unit", "batchbandit", "reference", "ratio"), rows)
    return f"# batchbandit and the reference\n\n{how}\n\n{table.markdown()}\n"


def main() -> None:
    """Measure, print and write the report."""
    stop_when_terminated()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench-reference"), help="its folder")
    parser.add_argument("--environment", type=Path, default=Path("build/reference"), help="of the reference")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--quick", action="store_true", help="just see that everything runs")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 0.5
    try:
        python = installed(options.environment.absolute())
        found = [compare(python, store, options.rounds, options.seconds) for store in STORES]
    except (ServerFailed, LoadFailed) as failure:
        sys.exit(str(failure))
    report = Report(
        machine=this_machine(),
        rounds=options.rounds,
        seconds=options.seconds,
        generator_cpu=max(share for _, share in found),
        comparisons=[comparison for comparisons, _ in found for comparison in comparisons],
    )
    options.out.mkdir(parents=True, exist_ok=True)
    text = markdown(report)
    (options.out / "report.md").write_text(text)
    (options.out / "report.json").write_bytes(msgspec.json.encode(report))
    print(text)


if __name__ == "__main__":
    main()
