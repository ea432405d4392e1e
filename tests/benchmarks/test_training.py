"""The demonstration with a real training: what it trains on, what it finds, and that it trains."""

import math
import os
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from benchmarks.training.chances import chances, kept
from benchmarks.training.declared import DeclaredGpu
from benchmarks.training.digits import CLASSES, drawn
from benchmarks.training.findings import Curves, epochs_to_target, excess, findings, most_chosen
from benchmarks.training.plans import FULL, SHORT, Plan, spent
from tests.skips import skip_without

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / "build" / "training"
TINY = replace(
    SHORT, trained=2000, tested=500, batch_sizes=(64, 256), target=0.4, max_epochs=8, seeds=2, recurrences=12
)
DEMONSTRATION = f"""
import sys
from pathlib import Path
from benchmarks.training import demo, network, search
from benchmarks.training.plans import Plan

network.FOLDER, search.FOLDER = Path(sys.argv[2], "data"), Path(sys.argv[2], "search")
if __name__ == "__main__":
    print("holds:", demo.demonstrated({TINY!r}, Path(sys.argv[1])))
"""


def made_up(plan: Plan, epochs: dict[int, int | None]) -> Curves:
    """Return curves that reach the target in the same epochs with every seed."""
    return {
        size: {
            seed: [0.0] * (plan.max_epochs if last is None else last - 1)
            + ([] if last is None else [plan.target])
            for seed in range(plan.seeds)
        }
        for size, last in epochs.items()
    }


def test_the_same_seed_draws_the_same_digits_and_another_seed_others() -> None:
    one, same, other = drawn(300, 1), drawn(300, 1), drawn(300, 2)
    assert one.pixels.shape == (300, 784)
    assert set(one.labels) == set(range(CLASSES))
    np.testing.assert_array_equal(one.pixels, same.pixels)
    np.testing.assert_array_equal(one.labels, same.labels)
    assert (one.pixels != other.pixels).any()


def test_digits_are_told_by_the_mean_image_of_their_kind_far_better_than_by_chance() -> None:
    trained, tested = drawn(3000, 1), drawn(500, 2)
    means = np.stack([trained.pixels[trained.labels == digit].mean(0) for digit in range(CLASSES)])
    distance = ((tested.pixels[:, None] - means) ** 2).sum(-1)
    assert (distance.argmin(1) == tested.labels).mean() > 0.4


@given(st.lists(st.integers(1, 5000), max_size=20), st.lists(st.integers(1, 5000), max_size=20))
def test_a_declared_gpu_measures_its_steps_since_it_was_started(before: list[int], after: list[int]) -> None:
    gpu = DeclaredGpu()
    for images in before:
        gpu.step(images)
    began = gpu.clock()
    gpu.start()
    assert gpu.read().joules == 0
    for images in after:
        gpu.step(images)
    seconds, joules = spent(len(after), sum(after))
    assert gpu.clock() - began == pytest.approx(seconds)
    assert gpu.read().joules == pytest.approx(joules)


@pytest.mark.parametrize("plan", [FULL, SHORT])
def test_the_plans_cost_of_a_training_is_that_of_its_steps(plan: Plan) -> None:
    for size in plan.batch_sizes:
        gpu = DeclaredGpu()
        gpu.start()
        for _ in range(3):
            for first in range(0, plan.trained, size):
                gpu.step(min(size, plan.trained - first))
        assert plan.declared(size, 3) == pytest.approx((gpu.clock(), gpu.read().joules))


def test_a_batch_size_that_misses_the_target_once_is_not_usable() -> None:
    curves = made_up(SHORT, dict.fromkeys(SHORT.batch_sizes, 5))
    curves[4096][1] = [0.0] * SHORT.max_epochs
    found = findings(SHORT, curves)
    assert math.isinf(found[-1].cost)
    assert found[-1].epochs == [5, None, 5, 5, 5]
    assert excess(found, 1024) == 0
    assert excess(found, 256) > 0.05


def test_a_search_that_finds_nothing_says_so() -> None:
    with pytest.raises(ValueError, match="no batch size reaches the target"):
        findings(SHORT, made_up(SHORT, dict.fromkeys(SHORT.batch_sizes)))


def test_the_target_is_reached_by_the_first_epoch_that_is_as_good() -> None:
    assert epochs_to_target(SHORT, [0.1, SHORT.target, 0.9]) == 2
    assert epochs_to_target(SHORT, [0.1]) is None


def test_of_batch_sizes_chosen_equally_often_the_last_one_counts() -> None:
    assert most_chosen([8, 8, 16, 32, 16]) == 16
    assert most_chosen([8, 16, 8]) == 8


def test_jobs_end_on_the_cheapest_where_chance_plays_no_part() -> None:
    curves = made_up(SHORT, {16: 6, 64: 7, 256: 11, 1024: 15, 4096: 38})
    found = chances(SHORT, curves, 5, is_shuffled=True)
    assert (found.held, found.chosen, found.none) == (5, {1024: 5}, 0)


def test_the_newest_complete_search_of_a_plan_counts(tmp_path: Path) -> None:
    assert kept(tmp_path, SHORT) is None
    for number, epochs in enumerate((5, 6)):
        file = tmp_path / f"{number}.json"
        file.write_bytes(msgspec.json.encode(made_up(SHORT, dict.fromkeys(SHORT.batch_sizes, epochs))))
        os.utime(file, (number, number))
    (tmp_path / "begun.json").write_bytes(msgspec.json.encode({16: {0: [0.5]}}))
    assert kept(tmp_path, FULL) is None
    assert kept(tmp_path, SHORT) == made_up(SHORT, dict.fromkeys(SHORT.batch_sizes, 6))


def test_a_job_whose_walk_finds_nothing_does_not_hold() -> None:
    curves = made_up(SHORT, {16: 5, 64: 5, 256: 5, 1024: 5, 4096: None})
    found = chances(replace(SHORT, default_batch_size=4096), curves, 3, is_shuffled=False)
    assert (found.held, found.chosen, found.none) == (0, {}, 3)


def test_a_training_recurs_against_a_real_server(tmp_path: Path) -> None:
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / ".installed").exists():
        skip_without(f"{ENVIRONMENT} is not there: make demo-training makes it")
    script = tmp_path / "demonstration.py"
    script.write_text(DEMONSTRATION)
    program = ROOT / ".venv" / "bin" / "batchbandit"
    ended = subprocess.run(
        [python, script, program, tmp_path],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "holds: " in ended.stdout
    assert "do not repeat" not in ended.stdout
    assert "| 12 | MAB |" in ended.stdout
    _, _, reported = ended.stdout.partition("which is only reported")
    assert "Most chosen of the last 10" in reported or "It ends here" in reported  # as the machine's load is
