"""What this machine's trainings have cost, for when nobody can be asked."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchbandit.results import Results

if TYPE_CHECKING:
    from pathlib import Path

URL = "http://bandit:8000"
JOB: dict[str, Any] = {
    "job_id": "resnet",
    "batch_sizes": [8, 16, 32],
    "eta_knob": 0.5,
    "max_power": 300.0,
    "target_metric": 0.9,
    "higher_is_better_metric": True,
}


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Return results of which there are none yet."""
    return Results(tmp_path, URL)


def file_of(folder: Path) -> Path:
    (path,) = (folder / "results").glob("*.json")
    return path


def test_nothing_is_known_at_first(results: Results, tmp_path: Path) -> None:
    assert results.best(JOB) is None
    assert list(tmp_path.iterdir()) == []


def test_the_lowest_mean_cost_is_the_best(results: Results, tmp_path: Path) -> None:
    for batch_size, cost in ((8, 10.0), (8, 30.0), (16, 19.0), (32, 21.0)):
        results.remember(JOB, batch_size, cost, converged=True)
    assert results.best(JOB) == 16
    assert Results(tmp_path, URL).best(JOB) == 16


def test_a_batch_size_whose_last_training_did_not_converge_is_none(results: Results) -> None:
    results.remember(JOB, 8, 1.0, converged=True)
    results.remember(JOB, 16, 2.0, converged=True)
    results.remember(JOB, 8, 1.0, converged=False)
    results.remember(JOB, 32, 0.1, converged=False)
    assert results.best(JOB) == 16
    results.remember(JOB, 8, 1.0, converged=True)
    assert results.best(JOB) == 8


def test_a_batch_size_that_is_the_job_s_no_more_is_none(results: Results) -> None:
    results.remember(JOB, 8, 1.0, converged=True)
    results.remember(JOB, 16, 2.0, converged=True)
    assert results.best({**JOB, "batch_sizes": [16, 64]}) == 16
    assert results.best({**JOB, "batch_sizes": [64]}) is None


@pytest.mark.parametrize(
    "other", [{"job_id": "bert"}, {"eta_knob": 0.0}, {"max_power": 100.0}, {"target_metric": 0.99}]
)
def test_costs_of_another_job_or_in_other_terms_are_no_guide(results: Results, other: dict[str, Any]) -> None:
    results.remember(JOB, 8, 1.0, converged=True)
    assert results.best({**JOB, **other}) is None


def test_what_another_service_s_trainings_cost_is_no_guide(results: Results, tmp_path: Path) -> None:
    results.remember(JOB, 8, 1.0, converged=True)
    assert Results(tmp_path, "http://other:8000").best(JOB) is None


def test_the_last_twenty_costs_count(results: Results, tmp_path: Path) -> None:
    results.remember(JOB, 8, 1e6, converged=True)
    for _ in range(20):
        results.remember(JOB, 8, 1.0, converged=True)
    results.remember(JOB, 16, 2.0, converged=True)
    assert results.best(JOB) == 8
    kept = json.loads(file_of(tmp_path).read_text())["batch_sizes"]["8"]
    assert (kept["count"], kept["costs"]) == (21, [1.0] * 20)


@given(
    st.lists(
        st.tuples(st.sampled_from([8, 16, 32, 64]), st.floats(0, 1e100), st.booleans()),
        min_size=1,
        max_size=25,
    )
)
@settings(deadline=None, max_examples=25)
def test_the_best_is_what_all_that_was_remembered_says(
    tmp_path_factory: pytest.TempPathFactory, trained: list[tuple[int, float, bool]]
) -> None:
    results = Results(tmp_path_factory.mktemp("state"), URL)
    costs: dict[int, list[float]] = {}
    last = {}
    for batch_size, cost, converged in trained:
        results.remember(JOB, batch_size, cost, converged=converged)
        last[batch_size] = converged
        if converged:
            costs.setdefault(batch_size, []).append(cost)
    best = results.best(JOB)
    fit = {
        n: math.fsum(c[-20:]) / len(c[-20:]) for n, c in costs.items() if last[n] and n in JOB["batch_sizes"]
    }
    assert (best is None) == (not fit)
    assert best is None or fit[best] == min(fit.values())


@pytest.mark.parametrize("cost", [math.nan, math.inf, -1.0, 1e200])
def test_a_cost_that_is_none_is_no_cost(results: Results, cost: float) -> None:
    results.remember(JOB, 8, cost, converged=True)
    assert results.best(JOB) is None


CONTENTS = [
    b"",
    b"garbage",
    b"\xff\xfe",
    b"[]",
    b"[" * 100_000,
    b'{"version": 2, "batch_sizes": {}}',
    b'{"version": 1, "batch_sizes": []}',
    b'{"version": 1, "batch_sizes": {"8": {"count": 1, "costs": ["1"], "converged": true}}}',
    b'{"version": 1, "batch_sizes": {"8": {"count": 1, "costs": [NaN], "converged": true}}}',
    b'{"version": 1, "batch_sizes": {"8": {"count": 1, "costs": [1e999], "converged": true}}}',
    b'{"version": 1, "batch_sizes": {"8": {"costs": [1], "converged": true}}}',
    b'{"version": 1, "batch_sizes": {"8": null}}',
]


@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_that_is_something_else_is_ignored_said_once_and_written_anew(
    results: Results, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    results.remember(JOB, 8, 1.0, converged=True)
    path = file_of(tmp_path)
    path.write_bytes(content)
    assert results.best(JOB) is results.best(JOB) is None
    results.remember(JOB, 16, 2.0, converged=True)
    assert results.best(JOB) == 16
    assert caplog.messages == [
        f"{path} does not hold what trainings have cost: it is ignored, and written anew."
    ]


def test_a_folder_that_cannot_be_made_raises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "results").write_text("a file")
    results = Results(tmp_path, URL)
    results.remember(JOB, 8, 1.0, converged=True)
    results.remember(JOB, 8, 1.0, converged=True)
    assert results.best(JOB) is None
    assert [message for message in caplog.messages if "cannot be kept" in message] == [
        f"What trainings cost cannot be kept in {tmp_path / 'results'}: File exists."
    ]


def test_without_a_folder_nothing_is_kept() -> None:
    results = Results(None, URL)
    results.remember(JOB, 8, 1.0, converged=True)
    assert results.best(JOB) is None


def test_a_write_that_is_broken_off_leaves_what_was_there(
    results: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    results.remember(JOB, 8, 1.0, converged=True)
    before = file_of(tmp_path).read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        results.remember(JOB, 16, 0.5, converged=True)
    assert file_of(tmp_path).read_bytes() == before
    assert sorted(path.suffix for path in (tmp_path / "results").iterdir()) == ["", ".json"]
    assert len(caplog.messages) == 1


def test_of_trainings_that_end_at_once_all_are_kept(tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from batchbandit.results import Results
results = Results(Path(sys.argv[1]), {URL!r})
for _ in range(20):
    results.remember({JOB!r}, 8, 1.0, converged=True)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    trainings = [subprocess.Popen(command) for _ in range(3)]
    assert [training.wait() for training in trainings] == [0, 0, 0]
    assert json.loads(file_of(tmp_path).read_text())["batch_sizes"]["8"]["count"] == 60


def test_files_are_the_user_s_alone(results: Results, tmp_path: Path) -> None:
    results.remember(JOB, 8, 1.0, converged=True)
    assert file_of(tmp_path).stat().st_mode & 0o777 == 0o600
    assert file_of(tmp_path).parent.stat().st_mode & 0o777 == 0o700
