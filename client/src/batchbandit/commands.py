"""The commands of ``python -m batchbandit``.

Exit codes: 0 all is well; 1 something was found that needs doing, or is left; 2 wrong usage.
"""

# ruff: noqa: T201  (what is printed is a command's product)
from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

from batchbandit.addresses import TOKEN, Address
from batchbandit.delivery import deliver_all
from batchbandit.doctor import examine
from batchbandit.service import Service
from batchbandit.spool import Spool
from batchbandit.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchbandit.doctor import Examination

URL = "BATCHBANDIT_URL"
"""The environment variable with the service's address, where a command has none."""
CLOCKS_AGREE_SECONDS = 2
"""An answer is dated in whole seconds, by some servers once a second: nearer than that nothing is known."""
PATIENCE_SECONDS = 10.0
"""How long each call of a delivery is repeated before the service is taken to be away."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    parser = command_line()
    options = parser.parse_args(arguments)
    url = options.url or os.environ.get(URL) or None
    try:
        address = None if url is None else Address.of(url, options.token)
    except ValueError as error:
        parser.error(str(error))
    if options.command == "doctor":
        return doctor(address, as_json=options.json)
    return flush(address, options.token)


def command_line() -> argparse.ArgumentParser:
    """Return the commands with their options."""
    parser = argparse.ArgumentParser(
        prog="python -m batchbandit",
        description="What a training job finds on this machine, and what it has left here.",
        epilog="Exit codes: 0 all is well; 1 something was found, or is left; 2 wrong usage.",
    )
    parser.add_argument("--version", action="version", version=f"batchbandit {VERSION}")
    service = argparse.ArgumentParser(add_help=False)
    service.add_argument("url", metavar="URL", nargs="?", help=f"the service's address, else that of {URL}")
    service.add_argument("--token", help=f"its token, else the URL's password, else that of {TOKEN}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    examination = commands.add_parser(
        "doctor", parents=[service], help="say what can be measured here, and whether the service answers"
    )
    examination.add_argument("--json", action="store_true", help="for machines")
    commands.add_parser(
        "flush",
        parents=[service],
        help="deliver what trainings could not report: to the service at the URL, else to each one's own",
    )
    return parser


def doctor(address: Address | None, *, as_json: bool) -> int:
    """Print what was found on this machine and of the service."""
    found = examine(address)
    print(json.dumps(asdict(found), indent=2) if as_json else "\n".join(_lines(found)))
    return int(bool(found.problems))


def flush(address: Address | None, token: str | None) -> int:
    """Deliver what waits for the service, or without one for each that something waits for."""
    spool = Spool.open()
    addresses = [Address.of(url, token) for url in spool.urls()] if address is None else [address]
    if not addresses:
        print("Nothing waits.")
    return max([_flush(spool, each) for each in addresses], default=0)


def _flush(spool: Spool, address: Address) -> int:
    service = Service(address, patience_seconds=PATIENCE_SECONDS)
    try:
        came = deliver_all(spool, service)
    finally:
        service.close()
    if came.is_busy:
        print(f"{address.url}: another process delivers at the moment; nothing was done")
        return 1
    why = f" ({came.error})" if came.error else ""
    print(f"{address.url}: delivered {came.delivered}, refused {came.refused}, left {came.left}{why}")
    return int(came.refused + came.left > 0)


def _lines(found: Examination) -> Iterator[str]:
    """Give what was found as lines of text."""
    here = found.machine
    where = ", in a container" if here.is_container else ""
    yield f"client   {here.client}, Python {here.python}, {here.system}{where}"
    yield from (f"         {name}={value}" for name, value in here.choosing.items())
    yield from _energy(found)
    if found.place is not None:
        yield "ranks    " + (
            f"rank {found.place.rank} of {found.place.size}" if found.place.size > 1 else "one process alone"
        )
    if found.state is not None:
        waiting = found.state.waiting
        yield f"state    {found.state.folder}, trainings with reports to send: {waiting}"
    yield from _service(found)
    yield from (f"note     {note}" for note in found.notes)
    yield from (f"problem  {problem}" for problem in found.problems)


def _energy(found: Examination) -> Iterator[str]:
    measured = found.measured
    if not measured.devices:
        yield "energy   nothing measures it here: the cost of a training is time alone"
        yield "         neither NVML nor amdsmi shows a GPU, and no CPU counters can be read"
        return
    yield f"energy   {measured.source}: {measured.watts:.1f} W at the moment"
    for device in measured.devices:
        highest = f"up to {device.max_power:.0f} W" if device.max_power else "no highest power known"
        yield f"         {device.model}, {highest}, {device.identity}"
    if measured.may_limit_power is not None:
        may = (
            "can be set"
            if measured.may_limit_power
            else "cannot be set: that takes root, or in a container SYS_ADMIN"
        )
        yield f"         power limits {may}"


def _service(found: Examination) -> Iterator[str]:
    service = found.service
    if service is None:
        if found.url is None:
            yield f"service  not asked: name its URL, or set {URL}"
        return
    ready = "ready" if service.is_ready else "not ready"
    let_in = "lets this training in" if service.lets_in else "does not let this training in"
    yield f"service  {service.url}, version {service.version}, {ready}, {let_in}"
    yield f"         {1000 * service.round_trip_seconds:.1f} ms there and back{_clock(service.seconds_ahead)}"


def _clock(seconds_ahead: float | None) -> str:
    if seconds_ahead is None:
        return ""
    if abs(seconds_ahead) <= CLOCKS_AGREE_SECONDS:
        return f", the clocks agree to {CLOCKS_AGREE_SECONDS} seconds"
    return f", its clock is {abs(seconds_ahead):.0f} s {'ahead' if seconds_ahead > 0 else 'behind'}"
