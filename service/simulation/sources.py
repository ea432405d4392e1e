"""Where the workloads of a simulation come from, and what is made of them."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from service.errors import OpeningError
from service.simulation import recordings, traces
from service.simulation.families import Family, Trouble, synthetic
from service.simulation.recordings import Overrides
from service.simulation.scenarios import Scenario, Terms, drifting, steady
from service.simulation.workloads import Workload


class Source(Struct, frozen=True):
    """What is trained: a file of runs or a folder of traces, and families of workloads that are made up."""

    file: Path | None = None
    overrides: Overrides = Overrides()
    families: tuple[Family, ...] = ()
    number: int = 3
    family_seed: int = 0
    trouble: Trouble = Trouble()


class Conditions(Struct, frozen=True, kw_only=True):
    """Under which conditions: ``noise`` None leaves each workload its own, ``drift`` None nothing changes."""

    recurrences: int = 100
    noise: float | None = None
    failures: float = 0.0
    drift: int | None = None
    dearer: float = 0.5
    concurrency: int = 1
    terms: Terms = Terms()


def scenarios_of(source: Source, conditions: Conditions) -> tuple[list[Scenario], list[str]]:
    """Return what is to be played, and in words what was passed over.

    Raises:
        OpeningError: There is nothing, or it cannot be read, or does not say enough.
    """
    workloads, passed_over = _recorded(source)
    earlier = on_other_gpus(workloads)
    for family in source.families:
        workloads += synthetic(family, source.family_seed, source.number, source.trouble)
    if not workloads:
        raise OpeningError("nothing is simulated; name a file or a folder of runs, or --synthetic valley")
    return [
        scenario_of(workload, conditions, earlier.get(workload.title)) for workload in workloads
    ], passed_over


def on_other_gpus(workloads: Sequence[Workload]) -> dict[str, Workload]:
    """Return by their titles those that are there on another GPU too, each as the next GPU has it."""
    by_name: dict[str, list[Workload]] = defaultdict(list)
    for workload in workloads:
        by_name[workload.name].append(workload)
    return {
        workload.title: alike[(place + 1) % len(alike)]
        for alike in by_name.values()
        for place, workload in enumerate(alike)
        if len(alike) > 1
    }


def scenario_of(workload: Workload, conditions: Conditions, earlier: Workload | None = None) -> Scenario:
    """Return a workload under conditions; ``earlier`` is what jobs train that others begin with.

    Raises:
        OpeningError: Its costs cannot move as they should.
    """
    scenario = steady(
        _troubled(workload, conditions), conditions.recurrences, conditions.concurrency, conditions.terms
    )
    if earlier is not None:
        scenario = replace(scenario, earlier=_troubled(earlier, conditions))
    return (
        drifting(scenario, conditions.drift, conditions.dearer) if conditions.drift is not None else scenario
    )


def _troubled(workload: Workload, conditions: Conditions) -> Workload:
    noise = workload.noise if conditions.noise is None else conditions.noise
    return replace(workload, noise=noise, failures=conditions.failures)


def _recorded(source: Source) -> tuple[list[Workload], list[str]]:
    if source.file is None:
        if source.overrides != Overrides():
            raise OpeningError(
                "--default, --max-power and --max-epochs are of a file of runs, and none is named; leave "
                "them out"
            )
        return [], []
    if not source.file.is_dir():
        return recordings.read(source.file, source.overrides), []
    if source.overrides != Overrides():
        raise OpeningError(
            "a folder of traces says itself what its workloads are; leave out --default, --max-power and "
            "--max-epochs"
        )
    found = traces.recorded(source.file)
    return found.workloads, found.passed_over
