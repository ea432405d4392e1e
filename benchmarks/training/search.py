"""The exhaustive search: every batch size trained with every seed, once; what was found is kept on disk."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import msgspec
import torch

from benchmarks.training.findings import Curves
from benchmarks.training.network import images, learning_curve
from benchmarks.training.plans import Plan

FOLDER = Path("build/training-search")
AT_ONCE = 8
"""Processes at most, each of which holds the images."""
SOURCES = [Path(__file__).with_name(name) for name in ("digits.py", "network.py")]


def searched(plan: Plan, told: Callable[[str], None]) -> Curves:
    """Train whatever was not trained before, on all cores, and return every curve."""
    file = FOLDER / f"{_key(plan)}.json"
    curves: Curves = msgspec.json.decode(file.read_bytes(), type=Curves) if file.exists() else {}
    wanted = [
        (size, seed)
        for seed in range(plan.seeds)
        for size in plan.batch_sizes
        if seed not in curves.get(size, {})
    ]
    if wanted:
        images(plan)  # drawn once, before the processes need them
    for done, (size, seed, curve) in enumerate(_trained(plan, wanted), 1):
        curves.setdefault(size, {})[seed] = curve
        _keep(file, curves)
        told(f"search {done}/{len(wanted)}: batch size {size}, seed {seed}, {len(curve)} epochs")
    return curves


def _trained(plan: Plan, wanted: list[tuple[int, int]]) -> Iterator[tuple[int, int, list[float]]]:
    if not wanted:
        return
    with ProcessPoolExecutor(min(os.cpu_count() or 1, AT_ONCE), mp_context=get_context("spawn")) as processes:
        running = {processes.submit(_curve, plan, *each): each for each in wanted}
        for ended in as_completed(running):
            yield *running[ended], ended.result()


def _curve(plan: Plan, batch_size: int, seed: int) -> list[float]:
    return list(learning_curve(plan, batch_size, seed))


def _key(plan: Plan) -> str:
    """Return a name for all that decides the curves."""
    parts = [str(plan.trained), str(plan.tested), str(plan.learning_rate), str(plan.default_batch_size)]
    parts += [str(plan.target), str(plan.max_epochs), torch.__version__]
    parts += [source.read_text(encoding="utf-8") for source in SOURCES]
    return sha256("\n".join(parts).encode()).hexdigest()[:16]


def _keep(file: Path, curves: Curves) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(curves))
    part.replace(file)
