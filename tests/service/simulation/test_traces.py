"""Workloads from recorded trainings."""

import json
import math
from pathlib import Path

import pytest

from service.errors import OpeningError
from service.simulation.traces import RECORDINGS, Recording, recorded
from service.simulation.workloads import Workload

TRAIN = "dataset,network,batch_size,optimizer,learning_rate,run,target_metric,target_epoch"
GPUS = ("V100", "A40")
POWER = "dataset,network,batch_size,optimizer,power_limit,time_per_epoch,average_power"


@pytest.fixture
def traces(shared: Path) -> dict[str, Workload]:
    """The recorded workloads by title."""
    return {workload.title: workload for workload in recorded(shared / "traces").workloads}


def test_six_workloads_are_recorded_on_two_gpus(traces: dict[str, Workload]) -> None:
    assert set(traces) == {f"{recording.dataset} on {gpu}" for recording in RECORDINGS for gpu in GPUS}


def test_recorded_batch_sizes_defaults_and_powers_are_the_known_ones(
    traces: dict[str, Workload], shared: Path
) -> None:
    pairs = json.loads((shared / "golden" / "zeus-regret.json").read_text())["pairs"]
    for pair, known in pairs.items():
        name, gpu = pair.replace("movielens/", "movielens-1m/").split("/")
        workload = traces[f"{name} on {gpu.upper()}"]
        assert workload.batch_sizes == known["batch_sizes"]
        assert workload.default_batch_size == known["default_batch_size"]
        assert workload.max_power == known["max_power"]
        assert workload.goal.target_metric == known["target_metric"]
        assert workload.goal.max_epochs == known["max_epochs"]


def test_what_never_converged_is_known(traces: dict[str, Workload]) -> None:
    hopeless = {
        (workload.name, batch_size)
        for workload in traces.values()
        for batch_size in workload.batch_sizes
        if math.isinf(workload.expected(batch_size).time)
    }
    assert hopeless == {
        ("cifar100", 2048),
        ("cifar100", 4096),
        ("imagenet", 64),
        ("movielens-1m", 4),
        ("movielens-1m", 8),
        ("movielens-1m", 16),
    }


def test_a_recorded_training_follows_its_run(traces: dict[str, Workload]) -> None:
    workload = traces["cifar100 on V100"]
    for run in workload.runs[1024]:
        assert len(run.curve) == workload.goal.max_epochs
        assert list(run.curve) == sorted(run.curve)
        assert 70 <= next(n for n, metric in enumerate(run.curve, 1) if metric >= 0.6) <= 97


def write(folder: Path, levels: str = "", powers: str = "") -> Path:
    """Write small traces, of each recording one run and one measurement at 64, and these rows."""
    runs = "".join(f"{key(each, 64)},0.1,1,{each.goal.target_metric},5\n" for each in RECORDINGS)
    measured = "".join(f"{key(each, 64)},200,10,150\n" for each in RECORDINGS)
    (folder / "summary_train.csv").write_text(f"{TRAIN}\n{runs}{levels}")
    for gpu in GPUS:
        (folder / f"summary_power_{gpu.lower()}.csv").write_text(f"{POWER}\n{measured}{powers}")
    return folder


def key(recording: Recording, batch_size: int) -> str:
    """Return the first four cells of a row."""
    return f"{recording.dataset},{recording.network},{batch_size},{recording.optimizer}"


CIFAR = RECORDINGS[0]


def test_a_batch_size_needs_both_traces(tmp_path: Path) -> None:
    folder = write(tmp_path, levels=f"{key(CIFAR, 8)},0.1,1,0.6,9\n", powers=f"{key(CIFAR, 16)},200,10,150\n")
    assert recorded(folder).workloads[0].batch_sizes == [64]


def test_a_default_too_large_for_the_gpu_is_clipped(tmp_path: Path) -> None:
    assert recorded(write(tmp_path)).workloads[0].default_batch_size == 64


def test_power_is_taken_at_the_largest_limit(tmp_path: Path) -> None:
    rows = f"{key(CIFAR, 64)},300,8,250\n{key(CIFAR, 64)},100,20,90\n"
    workload = recorded(write(tmp_path, powers=rows)).workloads[0]
    assert workload.max_power == 300
    [run] = workload.runs[64]
    assert (run.epoch_time, run.epoch_energy) == (8, 8 * 250)


def test_the_learning_rate_that_needs_the_fewest_epochs_counts(tmp_path: Path) -> None:
    rows = f"{key(CIFAR, 64)},0.2,1,0.6,3\n{key(CIFAR, 64)},0.4,1,0.6,nan\n"
    workload = recorded(write(tmp_path, levels=rows)).workloads[0]
    assert workload.expected(64).time == 3 * 10


def test_a_metric_holds_the_best_level_so_far(tmp_path: Path) -> None:
    rows = f"{key(CIFAR, 64)},0.1,1,0.2,2\n{key(CIFAR, 64)},0.1,1,0.3,2\n{key(CIFAR, 64)},0.1,1,0.7,nan\n"
    workload = recorded(write(tmp_path, levels=rows)).workloads[0]
    [run] = workload.runs[64]
    assert run.curve[:6] == (0.0, 0.3, 0.3, 0.3, 0.6, 0.6)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OpeningError, match=r"summary_train\.csv cannot be read \(No such file"):
        recorded(tmp_path)


def test_a_bad_number_is_found_by_its_line(tmp_path: Path) -> None:
    folder = write(tmp_path, levels=f"{key(CIFAR, 64)},0.1,1,0.6,soon\n")
    with pytest.raises(OpeningError, match=r"summary_train\.csv, line 8: Expected `float`.*target_epoch"):
        recorded(folder)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = write(tmp_path) / "summary_power_a40.csv"
    path.write_text(path.read_text().replace("average_power", "power"))
    with pytest.raises(OpeningError, match=r"summary_power_a40\.csv, line 2: .*`average_power`"):
        recorded(tmp_path)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (write(tmp_path) / "summary_train.csv").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(OpeningError, match=r"summary_train\.csv is no table"):
        recorded(tmp_path)


def test_a_folder_without_a_workload_is_refused(tmp_path: Path) -> None:
    (write(tmp_path) / "summary_train.csv").write_text(TRAIN)
    with pytest.raises(OpeningError, match=r"no workload to simulate: it needs a summary_power_GPU\.csv"):
        recorded(tmp_path)


def test_any_gpu_is_read_and_what_is_not_known_or_not_measured_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, levels="mnist,lenet,64,sgd,0.1,1,0.9,5\n")
    (folder / "summary_power_h100-80gb.csv").write_text(f"{POWER}\n{key(CIFAR, 64)},700,5,400\n")
    found = recorded(folder)
    assert [workload.gpu for workload in found.workloads] == ["A40"] * 6 + ["H100-80GB"] + ["V100"] * 6
    unknown, *unmeasured = found.passed_over
    assert unknown.startswith("mnist lenet sgd in ")
    assert [line.split()[0] for line in unmeasured] == sorted(each.dataset for each in RECORDINGS[1:])
