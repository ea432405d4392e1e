"""What a training would find on this machine: what measures, which rank it is, what waits, who answers."""

from __future__ import annotations

import logging
import os
import platform
import statistics
import time
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchbandit.energy.finding import find_meter
from batchbandit.energy.nvidia import COUNTER, POWER
from batchbandit.errors import OutOfOrder
from batchbandit.folders import VARIABLE, state_folder
from batchbandit.journals import REFUSED
from batchbandit.launchers import find_place
from batchbandit.log import log
from batchbandit.spool import FOLDER, SUFFIX, UNREADABLE, Spool
from batchbandit.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import httpx

    from batchbandit.addresses import Address
    from batchbandit.energy.meters import Device

MEASURING_SECONDS = 1.0
PATIENCE_SECONDS = 5.0
ROUND_TRIPS = 5
TITLE = "batchbandit"
"""What the service calls itself in its OpenAPI document."""
LARGEST_OFFSET_SECONDS = 5.0
"""By how much clocks may differ before it is worth knowing."""
CHOOSING = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
"""The variables that choose among GPUs."""
LIMITED = frozenset((COUNTER, POWER))
"""The sources of devices whose power limit a training may set: NVIDIA's GPUs that are not divided."""
SYS_ADMIN = 1 << 21
"""The bit of the capability that NVIDIA's driver asks for before it sets a power limit."""
STATUS = Path("/proc/self/status")
CONTAINER_SIGNS = (Path("/.dockerenv"), Path("/run/.containerenv"), Path("/run/secrets/kubernetes.io"))
POWERCAP = Path("/sys/class/powercap")
UDEV_RULE = 'SUBSYSTEM=="powercap", RUN+="/bin/chmod a+r /sys%p/energy_uj"'


@dataclass(frozen=True)
class Machine:
    """Where this runs; ``choosing`` has the variables that choose among GPUs, where they are set."""

    client: str
    python: str
    system: str
    is_container: bool
    choosing: dict[str, str]


@dataclass(frozen=True)
class Measured:
    """The devices that can be measured, and what they draw together.

    ``may_limit_power`` says whether power limits can be set, None where no device has one of its own.
    """

    devices: Sequence[Device]
    source: str
    watts: float
    may_limit_power: bool | None


@dataclass(frozen=True)
class Place:
    """Which of how many processes of a training this would be."""

    rank: int = 0
    size: int = 1


@dataclass(frozen=True)
class State:
    """The state folder, and the trainings whose reports are in it."""

    folder: str
    waiting: int
    refused: int
    unreadable: int


@dataclass(frozen=True)
class Service:
    """A service that answers. Its clock is so many seconds ahead of this machine's, give or take two."""

    url: str
    version: str
    is_ready: bool
    lets_in: bool
    round_trip_seconds: float
    seconds_ahead: float | None


@dataclass(frozen=True)
class Examination:
    """All that was found; ``service`` is what answers at ``url``, the ``problems`` need something done."""

    machine: Machine
    measured: Measured
    place: Place | None
    state: State | None
    url: str | None
    service: Service | None
    notes: Sequence[str]
    problems: Sequence[str]


def examine(address: Address | None) -> Examination:
    """Look at this machine, and at the service where there is an address. It takes some seconds."""
    problems: list[str] = []
    with _warnings() as notes:
        measured = measure(problems)
        place = find_rank(problems)
        state = look_into_state(problems)
    notes += closed_packages()
    service = None if address is None else ask(address, notes, problems)
    url = None if address is None else address.url
    return Examination(machine(), measured, place, state, url, service, notes, problems)


def machine() -> Machine:
    """Return where this runs."""
    return Machine(
        client=VERSION,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        is_container=any(sign.exists() for sign in CONTAINER_SIGNS),
        choosing={name: os.environ[name] for name in CHOOSING if name in os.environ},
    )


def measure(problems: list[str]) -> Measured:
    """Measure for a second the GPUs that a training would see, and the CPUs."""
    meter = find_meter(cpu=True)
    try:
        meter.start()
        began = time.monotonic()
        time.sleep(MEASURING_SECONDS if meter.devices else 0.0)
        energy, seconds = meter.read(), time.monotonic() - began
    finally:
        meter.close()
    if energy.flaw is not None:
        problems.append(f"Energy is not measured as it should be: {energy.flaw}")
    has_limit = not LIMITED.isdisjoint(energy.source.split("+"))
    may_limit = may_limit_power() if has_limit else None
    return Measured(meter.devices, energy.source, energy.joules / seconds, may_limit)


def may_limit_power(status: Path = STATUS) -> bool:
    """Tell whether this process has the capability that setting a GPU's power limit takes."""
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return False
    return any(int(line.split()[1], 16) & SYS_ADMIN for line in lines if line.startswith("CapEff:"))


def closed_packages(powercap: Path = POWERCAP) -> list[str]:
    """Return how to open the CPU's energy counters, where there are some that cannot be read."""
    if all(os.access(counter, os.R_OK) for counter in powercap.glob("intel-rapl:*/energy_uj")):
        return []
    command = f"sudo chmod a+r {powercap}/intel-rapl:*/energy_uj"
    hint = f"`{command}`, until the next boot, or for good with the udev rule `{UDEV_RULE}`"
    return [f"The CPU's energy can be measured after {hint}. Who reads it can guess at what others compute."]


def find_rank(problems: list[str]) -> Place | None:
    """Return which of how many processes this is, as a launcher says in the environment."""
    try:
        place = find_place(os.environ)
    except (OutOfOrder, ValueError) as error:
        problems.append(f"The ranks cannot be told: {error}")
        return None
    return Place() if place is None else Place(place.rank, place.size)


def look_into_state(problems: list[str]) -> State | None:
    """Return what is kept between trainings, None where nothing can be."""
    folder = state_folder()
    if folder is None:
        problems.append(f"Nothing can be kept between trainings: set {VARIABLE} to a folder that lasts.")
        return None
    spool = folder / FOLDER
    waiting = len(Spool(folder).waiting())
    state = State(str(folder), waiting, _count(spool / REFUSED), _count(spool / UNREADABLE))
    for count, kept in ((state.refused, spool / REFUSED), (state.unreadable, spool / UNREADABLE)):
        if count:
            problems.append(
                f"{kept} has reports that were not taken ({count}): the .txt file beside each says why; "
                "delete what is of no use."
            )
    return state


def ask(address: Address, notes: list[str], problems: list[str]) -> Service | None:
    """Return what a service answers, None where it does not or is another one."""
    import httpx  # noqa: PLC0415 -- takes longer than all else, and only who asks needs it

    headers = {"Authorization": f"Bearer {address.token}"} if address.token else {}
    with httpx.Client(base_url=address.url, headers=headers, timeout=PATIENCE_SECONDS) as client:
        try:
            ahead = _seconds_ahead(client.get("/healthz"))
            trips = [_timed(client) for _ in range(ROUND_TRIPS)]
            version = _version(client.get("/openapi.json"))
            ready = client.get("/readyz")
            # Trainers may call it, and it does nothing: it asks for the batch sizes of no jobs.
            asked = client.post("/api/v1/suggestions", json={"job_ids": []})
        except httpx.HTTPError as error:
            problems.append(f"{address.url} does not answer: {type(error).__name__}: {error}")
            return None
    if version is None:
        problems.append(f"{address.url} is no batchbandit service: /openapi.json does not name one.")
        return None
    for what, answer in (("is not ready", ready), ("does not let this training in", asked)):
        if not answer.is_success:
            problems.append(f"{address.url} {what}: {_sentence(answer)}")
    if ahead is not None and abs(ahead) > LARGEST_OFFSET_SECONDS:
        notes.append(
            f"The clocks differ by {abs(ahead):.0f} s; nothing depends on that, but times in logs do."
        )
    return Service(address.url, version, ready.is_success, asked.is_success, statistics.median(trips), ahead)


def _timed(client: httpx.Client) -> float:
    began = time.monotonic()
    client.get("/healthz")
    return time.monotonic() - began


def _seconds_ahead(answer: httpx.Response) -> float | None:
    """Return by how much the service's clock, which tells whole seconds, is ahead; None without one."""
    try:
        told = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None
    return told + 0.5 - (time.time() - answer.elapsed.total_seconds() / 2)


def _version(answer: httpx.Response) -> str | None:
    info = _object(_object(answer).get("info"))
    return str(info.get("version")) if info.get("title") == TITLE else None


def _sentence(answer: httpx.Response) -> str:
    return f"{answer.status_code}: {_object(answer).get('message', answer.reason_phrase)}"


def _object(value: Any) -> dict[str, Any]:  # noqa: ANN401 -- whatever a server may say
    """Return a JSON object, or that of an answer; an empty one where it is none."""
    if hasattr(value, "json"):
        try:
            value = value.json()
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _count(folder: Path) -> int:
    try:
        return sum(name.endswith(SUFFIX) for name in os.listdir(folder))  # noqa: PTH208 -- names are enough
    except OSError:
        return 0


class _Notes(logging.Handler):
    def __init__(self, notes: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        self._notes.append(record.getMessage())


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Take in what the client warns of, which is said with all else."""
    notes: list[str] = []
    handler, before = _Notes(notes), log.propagate
    log.addHandler(handler)
    log.propagate = False
    try:
        yield notes
    finally:
        log.removeHandler(handler)
        log.propagate = before
