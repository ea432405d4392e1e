"""Where the workloads of a simulation come from, and what is made of them."""

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
    for family in source.families:
        workloads += synthetic(family, source.family_seed, source.number, source.trouble)
    if not workloads:
        raise OpeningError("nothing is simulated; name a file or a folder of runs, or --synthetic valley")
    return [scenario_of(workload, conditions) for workload in workloads], passed_over


def scenario_of(workload: Workload, conditions: Conditions) -> Scenario:
    """Return a workload under conditions.

    Raises:
        OpeningError: Its costs cannot move as they should.
    """
    noise = workload.noise if conditions.noise is None else conditions.noise
    workload = replace(workload, noise=noise, failures=conditions.failures)
    scenario = steady(workload, conditions.recurrences, conditions.concurrency, conditions.terms)
    return (
        drifting(scenario, conditions.drift, conditions.dearer) if conditions.drift is not None else scenario
    )


def _recorded(source: Source) -> tuple[list[Workload], list[str]]:
    if source.file is None:
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
