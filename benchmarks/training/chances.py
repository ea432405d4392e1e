"""How often the demonstration holds: the service's decisions, on the trainings that the search has done.

Runs where the service is installed: ``python -m benchmarks.training.chances``, after the demonstration.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from benchmarks.training.findings import NEAR, Curves, excess, findings, most_chosen
from benchmarks.training.plans import BETA, ETA, FULL, MAX_POWER, SHORT, Plan
from core.errors import NoBatchSizeLeft
from core.records import Job, Stage
from core.streams import seeded
from service.simulation.pipelines import Pipeline
from service.simulation.trainings import Epoch

LAST = 10


class Chances(Struct, frozen=True):
    """How many jobs ended near the cheapest, how many chose each batch size most at the end, how many none.

    A job has none left where every batch size failed to reach the target, each with an unlucky seed.
    """

    held: int
    chosen: dict[int, int]
    none: int


def chances(plan: Plan, curves: Curves, jobs: int, *, is_shuffled: bool) -> Chances:
    """Let so many jobs recur, each with a random stream of its own.

    Args:
        plan: What recurs.
        curves: What the search has found.
        jobs: Their ``mab_seed`` is 0 and up.
        is_shuffled: Whether the seeds of the trainings come in an order of each job's own, else as planned.
    """
    found = findings(plan, curves)
    ended = [_ended(plan, curves, mab_seed, is_shuffled=is_shuffled) for mab_seed in range(jobs)]
    chosen = Counter(size for size in ended if size is not None)
    held = sum(times for size, times in chosen.items() if excess(found, size) <= NEAR)
    return Chances(held, dict(sorted(chosen.items())), ended.count(None))


def kept(folder: Path, plan: Plan) -> Curves | None:
    """Return what the newest search of all that a plan wants has found, None where there is none."""
    for file in sorted(folder.glob("*.json"), key=lambda file: file.stat().st_mtime, reverse=True):
        curves = msgspec.json.decode(file.read_bytes(), type=Curves)
        wanted = set(range(plan.seeds))
        if set(curves) == set(plan.batch_sizes) and all(set(found) >= wanted for found in curves.values()):
            return curves
    return None


def _ended(plan: Plan, curves: Curves, mab_seed: int, *, is_shuffled: bool) -> int | None:
    """Return what a job chose most in its last recurrences, None where it has no batch size left."""
    rng = np.random.default_rng(mab_seed)
    rounds = -(-plan.recurrences // plan.seeds)
    seeds = [
        int(seed)
        for _ in range(rounds)
        for seed in (rng.permutation(plan.seeds) if is_shuffled else range(plan.seeds))
    ]
    pipeline = Pipeline(_job(plan, mab_seed), plan.batch_sizes)

    def train(batch_size: int) -> Iterator[Epoch]:
        curve = curves[batch_size][seeds[len(pipeline.trials)]]
        for epoch, metric in enumerate(curve, 1):
            spent = plan.declared(batch_size, epoch)
            yield Epoch(epoch, spent.seconds, spent.joules, metric)

    try:
        for _ in range(plan.recurrences):
            pipeline.recur(train)
    except NoBatchSizeLeft:
        return None
    return most_chosen([trial.batch_size for trial in pipeline.trials[-LAST:]])


def _job(plan: Plan, mab_seed: int) -> Job:
    """Return a new job with the service's defaults where the plan says nothing."""
    return Job(
        job_id="digits",
        job_id_prefix="digits",
        default_batch_size=plan.default_batch_size,
        higher_is_better_metric=True,
        eta_knob=ETA,
        beta_knob=BETA,
        target_metric=plan.target,
        max_epochs=plan.max_epochs,
        num_pruning_rounds=2,
        window_size=0,
        max_power=MAX_POWER,
        number_of_gpus=1,
        gpu_model="declared",
        mab_prior_mean=0.0,
        mab_prior_precision=0.0,
        mab_num_explorations=2,
        mab_seed=mab_seed,
        lease_seconds=None,
        max_failures=3,
        mab_random_generator_state=seeded(mab_seed),
        exp_default_batch_size=plan.default_batch_size,
        stage=Stage.PRUNING,
        min_cost=None,
        min_cost_batch_size=plan.default_batch_size,
        last_trial_number=0,
    )


def main() -> None:
    """Print how often the criterion holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/training-search"), help="of the search")
    parser.add_argument("--short", action="store_true", help="of the short demonstration")
    parser.add_argument("--jobs", type=int, default=200)
    options = parser.parse_args()
    plan = SHORT if options.short else FULL
    curves = kept(options.folder, plan)
    if curves is None:
        sys.exit(f"{options.folder} holds no search of this plan: make demo-training first")
    for is_shuffled in (False, True):
        found = chances(plan, curves, options.jobs, is_shuffled=is_shuffled)
        order = "in an order of each job's own" if is_shuffled else "in the order of the demonstration"
        print(f"{found.held} of {options.jobs} jobs hold, seeds {order};")
        print(f"  most chosen at the end: {found.chosen}; without a batch size left: {found.none}")


if __name__ == "__main__":
    main()
