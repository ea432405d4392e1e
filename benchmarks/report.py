"""Measures everything and writes one report: Markdown, JSON, and a picture a section."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import to_builtins

from benchmarks import access, arithmetic, client, deciding, decode, history, http, memory, pages, replicas
from benchmarks.effort import FULL, QUICK, Effort
from benchmarks.load import LoadFailed
from benchmarks.machine import Machine, this_machine
from benchmarks.page import Page
from benchmarks.server import ServerFailed, stop_when_terminated

SECTIONS: dict[str, Callable[[Effort], Page]] = {
    "http": http.page,
    "history": history.page,
    "replicas": replicas.page,
    "access": access.page,
    "policies": deciding.page,
    "client": client.page,
    "kernels": arithmetic.page,
    "json": decode.page,
    "memory": memory.page,
    "pages": pages.page,
}


def head(machine: Machine, effort: Effort) -> str:
    """Return the beginning of the report."""
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    return (
        "# Benchmarks of batchbandit\n\n"
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB, {machine.system}, "
        f"{machine.python}; {packages}; commit {machine.commit}, {machine.date}. Medians of {effort.rounds} "
        "rounds with the least and the most in brackets; what is compared ran in the same rounds.\n"
    )


def write(folder: Path, names: list[str], effort: Effort) -> None:
    """Measure sections; write the report anew after each, so that a cut run leaves what it has."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = this_machine()
    texts, data = [head(machine, effort)], dict[str, Any](machine=to_builtins(machine))
    for name in names:
        print(f"{name} ...", file=sys.stderr)
        page = SECTIONS[name](effort)
        texts.append(page.markdown(folder))
        data[name] = page.data
        (folder / "report.md").write_text("\n".join(texts))
        (folder / "report.json").write_bytes(msgspec.json.encode(data))


def main() -> None:
    """Measure what is asked for."""
    stop_when_terminated()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder of the report")
    parser.add_argument("--quick", action="store_true", help="just see that everything runs")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="a section; can be repeated")
    options = parser.parse_args()
    try:
        write(options.out, options.only or list(SECTIONS), QUICK if options.quick else FULL)
    except (ServerFailed, LoadFailed) as failure:
        sys.exit(str(failure))
    print(options.out / "report.md")


if __name__ == "__main__":
    main()
