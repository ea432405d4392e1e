"""Ranks: processes that meet in a folder, whoever launches them, and one that is lost holds nobody up."""

from __future__ import annotations

import json
import logging
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchbandit.errors import OutOfOrder
from batchbandit.folder_ranks import FolderRanks, find_folder
from batchbandit.launchers import Place, find_place
from batchbandit.ranks import Alone, TorchRanks, find_ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SOURCE = Path(__file__).parents[2] / "client" / "src"
LIMIT = 30.0
"""Seconds after which a process of a test hangs."""
FOUND_BY_ENVIRONMENT = """
import json
from batchbandit.ranks import find_ranks
ranks = find_ranks()
said = [ranks.share({"from": ranks.rank}), ranks.gather(ranks.rank * 10), ranks.share(float("inf"))]
print(json.dumps([ranks.rank, ranks.size, said]))
"""
WITH_PATIENCE = """
import json, logging, os, signal, sys
from pathlib import Path
from batchbandit.folder_ranks import FolderRanks
logging.basicConfig(format="%(message)s")
rank, size, seconds = map(float, sys.argv[1:])
Path(f"ready-{rank:.0f}").touch()
ranks = FolderRanks(int(rank), int(size), Path.cwd(), "run", patience_seconds=seconds)
"""
WHEN_ALL_ARE_STARTED = """
import time
while len(list(Path.cwd().glob("ready-*"))) < size:
    time.sleep(0.001)
"""


def started(code: str, *arguments: object, folder: Path, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": str(folder), **variables}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment,
    )


def launched(code: str, size: int, folder: Path, **variables: str) -> list[Any]:
    """Run a script on each rank as torchrun does on one host, and return what each printed."""
    variables = {"WORLD_SIZE": str(size), "MASTER_ADDR": "localhost", "MASTER_PORT": "29500", **variables}
    processes = [started(code, folder=folder, RANK=str(rank), **variables) for rank in range(size)]
    return [printed(process) for process in reversed(processes)][::-1]


def printed(process: subprocess.Popen[str]) -> Any:  # noqa: ANN401 - whatever it says, as JSON
    output, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, errors
    return json.loads(output)


def test_processes_meet_by_what_their_launcher_says(tmp_path: Path) -> None:
    said = [{"from": 0}, [0, 10, 20], float("inf")]
    assert launched(FOUND_BY_ENVIRONMENT, 3, tmp_path) == [[rank, 3, said] for rank in range(3)]
    assert [path.name for path in tmp_path.glob("*/*")] == []


def test_processes_meet_in_the_folder_that_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "shared" / "by all"
    results = launched(FOUND_BY_ENVIRONMENT, 2, tmp_path, BATCHBANDIT_RANKS_DIR=str(folder))
    assert [result[0] for result in results] == [0, 1]
    assert folder.is_dir()
    assert list(folder.iterdir()) == []


def test_what_a_killed_run_left_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    half = [started(WITH_PATIENCE + "ranks.share(0)", rank, 3, 60, folder=tmp_path) for rank in (1, 2)]
    unanswered = [started(WITH_PATIENCE + "ranks.share('old')", 0, 4, 60, folder=tmp_path)]
    while len(list(tmp_path.glob("*/here-*"))) < 2:
        time.sleep(0.01)
    for process in half + unanswered:
        process.kill()
        process.communicate()
    dead = started(WITH_PATIENCE + "ranks.share(0)", 1, 3, 60, folder=tmp_path)
    while not list(tmp_path.glob("*-hello-1-*")):
        time.sleep(0.01)
    dead.kill()
    dead.communicate()
    code = WITH_PATIENCE + "print(json.dumps([ranks.share(ranks.rank + 7), ranks.gather(ranks.rank)]))"
    processes = [started(code, rank, 3, 60, folder=tmp_path) for rank in range(3)]
    assert [printed(process) for process in processes] == [[7, [0, 1, 2]]] * 3
    assert not list(tmp_path.glob("*-hello-1-*"))


def test_a_killed_rank_is_said_to_be_missing_once_and_the_others_go_on(tmp_path: Path) -> None:
    code = f"""
{WHEN_ALL_ARE_STARTED}
first = ranks.gather(ranks.rank)
if ranks.rank == 2:
    os.kill(os.getpid(), signal.SIGKILL)
said = [first, ranks.gather(ranks.rank), ranks.share(ranks.rank + 5)]
print(json.dumps(said + [ranks.gather(ranks.rank) for _ in range(20)]))
"""
    processes = [started(WITH_PATIENCE + code, rank, 3, 5, folder=tmp_path) for rank in range(3)]
    ended = [(*process.communicate(timeout=LIMIT), process.returncode) for process in processes]
    assert [code for _, _, code in ended] == [0, 0, -9]
    for rank, (output, errors, _) in enumerate(ended[:2]):
        assert json.loads(output) == [[0, 1, 2], [0, 1, None], 5, *[[0, 1, None]] * 20]
        assert errors.count("goes on without rank 2") == 1, errors
        assert errors.splitlines() == [f"Rank {rank} goes on without rank 2, which is not heard of any more."]


def test_without_rank_0_the_others_go_on_with_their_own_values(tmp_path: Path) -> None:
    code = f"""
{WHEN_ALL_ARE_STARTED}
first = ranks.share(ranks.rank)
if ranks.rank == 0:
    os.kill(os.getpid(), signal.SIGKILL)
print(json.dumps([first, ranks.share("own"), ranks.share("again")]))
"""
    processes = [started(WITH_PATIENCE + code, rank, 2, 5, folder=tmp_path) for rank in range(2)]
    output, errors = processes[1].communicate(timeout=LIMIT)
    processes[0].communicate(timeout=LIMIT)
    assert json.loads(output) == [0, "own", "again"]
    assert errors.count("without rank 0") == 1


def test_a_rank_that_has_left_is_not_waited_for(tmp_path: Path) -> None:
    code = """
first = ranks.gather(ranks.rank)
if ranks.rank == 0:
    raise SystemExit(3)
print(json.dumps([first, ranks.share("own")]))
"""
    processes = [started(WITH_PATIENCE + code, rank, 2, 1000, folder=tmp_path) for rank in range(2)]
    assert printed(processes[1]) == [[0, 1], "own"]
    processes[0].communicate(timeout=LIMIT)


def test_a_forked_child_that_ends_has_not_left(tmp_path: Path) -> None:
    code = """
first = ranks.gather(ranks.rank)
if ranks.rank == 0:
    child = os.fork()
    if child == 0:
        raise SystemExit
    os.waitpid(child, 0)
    Path("child-ended").touch()
while not Path("child-ended").exists():
    pass
if ranks.rank == 0:
    import time
    time.sleep(0.3)
print(json.dumps([first, ranks.share(ranks.rank)]))
"""
    processes = [started(WITH_PATIENCE + code, rank, 2, 60, folder=tmp_path) for rank in range(2)]
    assert [printed(process) for process in processes] == [[[0, 1], 0]] * 2


def test_what_a_missing_rank_says_later_is_heard(tmp_path: Path) -> None:
    slow = f"""
{WHEN_ALL_ARE_STARTED}
ranks.share(0)
while not Path("given-up").exists():
    time.sleep(0.01)
print(json.dumps([ranks.gather(ranks.rank), ranks.gather("back")]))
"""
    quick = f"""
{WHEN_ALL_ARE_STARTED}
ranks.share(0)
first = ranks.gather(ranks.rank)
Path("given-up").touch()
while not list(Path.cwd().glob("*/3-1")):  # what the other says last, of which the two have only one try
    time.sleep(0.01)
print(json.dumps([first, ranks.gather(ranks.rank)]))
"""
    late = started(WITH_PATIENCE + slow, 1, 2, 60, folder=tmp_path)
    assert printed(started(WITH_PATIENCE + quick, 0, 2, 3, folder=tmp_path)) == [[0, None], [0, "back"]]
    assert printed(late) == [[0, 1], [0, "back"]]


def test_trainings_that_follow_each_other_in_one_process_each_meet_anew(tmp_path: Path) -> None:
    code = """
import time
said = []
for training in range(3):
    time.sleep(0.1 * (ranks.rank == 2))
    again = FolderRanks(ranks.rank, 3, Path.cwd(), "run", patience_seconds=60)
    said.append([again.share([training, again.rank]), again.gather(again.rank)])
print(json.dumps(said))
"""
    processes = [started(WITH_PATIENCE + code, rank, 3, 60, folder=tmp_path) for rank in range(3)]
    expected = [[[training, 0], [0, 1, 2]] for training in range(3)]
    assert [printed(process) for process in processes] == [expected] * 3
    assert not list(tmp_path.glob("batchbandit-*"))


def test_a_rank_that_has_given_up_is_let_into_the_next_training_alone(tmp_path: Path) -> None:
    def ranks(rank: int, seconds: float) -> FolderRanks:
        return FolderRanks(rank, 3, tmp_path, "run", patience_seconds=seconds)

    def first() -> list[Any]:
        return [ranks(0, LIMIT).share("first"), ranks(0, LIMIT).share("second")]

    with ThreadPoolExecutor(3) as threads:
        inviting = threads.submit(first)
        assert ranks(1, 0.3).share("own") == "own"  # since rank 2 is not there yet
        next_one = threads.submit(ranks(1, LIMIT).share, "own")
        while not list(tmp_path.glob("*-hello-1-*")):
            time.sleep(0.001)
        time.sleep(0.3)
        assert [ranks(2, LIMIT).share("own") for _ in range(2)] == ["first", "second"]
        assert next_one.result() == "second"
        assert inviting.result() == ["first", "second"]


def test_a_rank_that_nobody_meets_goes_on_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for rank in range(2):
        ranks = FolderRanks(rank, 2, tmp_path, "run", patience_seconds=0.05)
        assert ranks.share("own") == "own"
        assert ranks.gather("own") == ["own" if each == rank else None for each in range(2)]
    assert [record.getMessage()[:29] for record in caplog.records] == [
        "Rank 0 goes on without rank 1",
        "Rank 1 goes on without rank 0",
    ]


def test_a_folder_that_fails_lets_a_rank_go_on_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for rank in range(2):
        ranks = FolderRanks(rank, 2, tmp_path / "gone", "run")
        assert ranks.share(rank) == rank
        assert ranks.gather(rank)[rank] == rank
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=5,
)
calls = st.lists(st.tuples(st.booleans(), st.lists(json_values, min_size=4, max_size=4)), max_size=6)


@settings(max_examples=15, deadline=None)
@given(calls, st.integers(2, 4), st.integers(0, 2**32))
def test_every_rank_hears_the_same_in_whatever_order_they_come(
    script: list[tuple[bool, list[Any]]], size: int, seed: int
) -> None:
    def said(rank: int) -> list[Any]:
        pauses = random.Random(seed + rank)
        ranks = FolderRanks(rank, size, Path(folder), "run", patience_seconds=LIMIT)
        heard = []
        for is_share, values in script:
            time.sleep(pauses.choice([0, 0, 0.002]))
            heard.append(ranks.share(values[rank]) if is_share else ranks.gather(values[rank]))
        return heard

    expected = [values[0] if is_share else values[:size] for is_share, values in script]
    with TemporaryDirectory() as folder, ThreadPoolExecutor(size) as threads:
        assert list(threads.map(said, range(size))) == [expected] * size
        assert len(list(Path(folder).glob("*/[0-9]*"))) <= size * len(script)


def test_messages_that_all_have_read_are_removed(tmp_path: Path) -> None:
    def work(rank: int) -> list[Any]:
        ranks = FolderRanks(rank, 2, tmp_path, "run", patience_seconds=LIMIT)
        return [[ranks.share(epoch), ranks.gather(epoch)] for epoch in range(40)]

    with ThreadPoolExecutor(2) as threads:
        heard = list(threads.map(work, range(2)))
    assert heard == [[[epoch, [epoch, epoch]] for epoch in range(40)]] * 2
    assert len(list(tmp_path.glob("*/[0-9]*"))) <= 4


IN_AN_ALLOCATION = {"SLURM_JOB_ID": "17", "SLURM_NTASKS": "4"}
IN_A_BATCH_SCRIPT = {**IN_AN_ALLOCATION, "SLURM_PROCID": "0"}
IN_ITS_SHELL = {**IN_A_BATCH_SCRIPT, "SLURM_STEP_ID": str(0xFFFFFFFA), "SLURM_STEP_NUM_TASKS": "1"}
BY_SRUN = {**IN_AN_ALLOCATION, "SLURM_PROCID": "3", "SLURM_STEP_ID": "2", "SLURM_STEP_NUM_TASKS": "4"}
BY_TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_WORLD_SIZE": "4",
    "TORCHELASTIC_RUN_ID": "none",
    "MASTER_ADDR": "a",
    "MASTER_PORT": "29500",
}
IN_A_POD = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "job-master-0", "MASTER_PORT": "23456"}
BY_MPIRUN = {
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "PMIX_NAMESPACE": "prterun-a-99@1",
}


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({}, None),
        ({"RANK": "0"}, None),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        ({"WORLD_SIZE": "1"}, None),
        (IN_AN_ALLOCATION, None),
        (IN_A_BATCH_SCRIPT, None),
        (IN_ITS_SHELL, None),
        ({**IN_A_BATCH_SCRIPT, "SLURM_STEP_ID": str(0xFFFFFFFB)}, None),
        ({**BY_SRUN, "RANK": "0", "WORLD_SIZE": "1"}, None),
        (BY_SRUN, Place(3, 4, "17/2", is_one_host=True)),
        ({**BY_SRUN, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, None),
        ({**BY_SRUN, "SLURM_STEP_NUM_NODES": "2"}, Place(3, 4, "17/2", is_one_host=False)),
        ({**BY_SRUN, "WORLD_SIZE": "4"}, Place(3, 4, "17/2", is_one_host=True)),
        (BY_TORCHRUN, Place(5, 8, "none/a/29500", is_one_host=False)),
        ({**BY_SRUN, **BY_TORCHRUN}, Place(5, 8, "none/a/29500", is_one_host=False)),
        ({**BY_TORCHRUN, "LOCAL_WORLD_SIZE": "8"}, Place(5, 8, "none/a/29500", is_one_host=True)),
        ({"RANK": "1", "WORLD_SIZE": "2"}, Place(1, 2, None, is_one_host=True)),
        (IN_A_POD, Place(1, 2, "job-master-0/23456", is_one_host=False)),
        ({**IN_A_POD, "MASTER_ADDR": "127.0.0.1"}, Place(1, 2, "127.0.0.1/23456", is_one_host=True)),
        (BY_MPIRUN, Place(1, 2, "prterun-a-99@1", is_one_host=True)),
        ({**BY_MPIRUN, "OMPI_COMM_WORLD_LOCAL_SIZE": "1"}, Place(1, 2, "prterun-a-99@1", is_one_host=False)),
    ],
)
def test_a_process_finds_its_place_among_those_of_a_launcher(
    environment: Mapping[str, str], place: Place | None
) -> None:
    assert find_place(environment) == place


def test_several_processes_without_a_rank_are_told_what_to_do() -> None:
    with pytest.raises(OutOfOrder, match="RANK is missing: start the processes with torchrun"):
        find_place({"WORLD_SIZE": "2"})


@pytest.mark.parametrize(("rank", "size"), [("x", "2"), ("0", "many"), ("2", "2"), ("-1", "2"), ("0", "0")])
def test_variables_that_make_no_sense_are_refused(rank: str, size: str) -> None:
    with pytest.raises(ValueError, match=r"RANK|WORLD_SIZE"):
        find_place({"RANK": rank, "WORLD_SIZE": size})


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        (Place(0, 2, "run", is_one_host=False), "set BATCHBANDIT_RANKS_DIR to a folder that all of them see"),
        (Place(0, 2, None, is_one_host=True), "nothing names their run"),
    ],
)
def test_ranks_that_cannot_meet_are_told_before_anything_is_asked(place: Place, sentence: str) -> None:
    with pytest.raises(OutOfOrder, match=sentence):
        find_folder(place, {})


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = Place(0, 2, "run", is_one_host=True)
    with pytest.raises(OutOfOrder, match="cannot meet in"):
        find_folder(place, {"BATCHBANDIT_RANKS_DIR": str(tmp_path / "file")})


def test_a_folder_for_temporary_files_that_somebody_else_made_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    place = Place(0, 2, "run", is_one_host=True)
    folder = find_folder(place, {})
    assert folder.stat().st_mode & 0o777 == 0o700
    assert find_folder(place, {}) == folder
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutOfOrder, match="somebody else's"):
        find_folder(place, {})


def test_a_process_by_itself_is_alone() -> None:
    ranks = find_ranks()
    assert isinstance(ranks, Alone)
    assert (ranks.rank, ranks.size, ranks.share(3), ranks.gather(3)) == (0, 1, 3, [3])


def test_whatever_has_the_members_of_ranks_will_do() -> None:
    ranks: Any = SimpleNamespace(rank=1, size=2, share=lambda value: value, gather=lambda value: [value] * 2)
    assert find_ranks(ranks) is ranks
    with pytest.raises(ValueError, match="no share, gather"):
        find_ranks(SimpleNamespace(rank=1, size=2))
    with pytest.raises(ValueError, match="rank 2 of 2"):
        find_ranks(SimpleNamespace(**{**vars(ranks), "rank": 2}))


class FakeCuda:
    """Eight GPUs, of which a process uses the first until it chooses."""

    def __init__(self) -> None:
        self.current = 0
        self.count = 8

    def current_device(self) -> int:
        """Return the GPU that is used."""
        return self.current

    def device_count(self) -> int:
        """Return how many there are."""
        return self.count

    @contextmanager
    def device(self, index: int) -> Iterator[None]:
        """Use another GPU for a while."""
        before, self.current = self.current, index
        yield
        self.current = before


class FakeDistributed:
    """torch.distributed over NCCL, which records the GPU that each collective is called on."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.used: list[int] = []
        self.cuda = cuda
        self.error: Exception | None = None

    def is_available(self) -> bool:
        """Say yes."""
        return True

    def is_initialized(self) -> bool:
        """Say yes."""
        return True

    def get_rank(self, _: object) -> int:
        """Return one in the middle."""
        return 3

    def get_world_size(self, _: object) -> int:
        """Return the number of ranks."""
        return 8

    def get_backend(self, _: object) -> str:
        """Return what needs a GPU."""
        return "nccl"

    def broadcast_object_list(self, values: list[object], src: int, group: object) -> None:
        """Put in what rank 0 has."""
        assert (src, group) == (0, None)
        self.used.append(self.cuda.current)
        if self.error is not None:
            raise self.error
        values[0] = "rank 0's"

    def all_gather_object(self, values: list[object], value: object, group: object) -> None:
        """Put in that all have the same."""
        assert (len(values), group) == (8, None)
        self.used.append(self.cuda.current)
        values[:] = [value] * 8


@pytest.fixture
def distributed(monkeypatch: pytest.MonkeyPatch) -> FakeDistributed:
    cuda = FakeCuda()
    fake = FakeDistributed(cuda)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setitem(sys.modules, "torch.distributed", fake)
    return fake


def one_gpu_each(cuda: FakeCuda) -> None:
    cuda.count = 1


def chosen(cuda: FakeCuda) -> None:
    cuda.current = 6


@pytest.mark.parametrize(
    ("local_rank", "prepare", "gpu"),
    [("3", None, 3), (None, None, 0), ("3", one_gpu_each, 0), ("3", chosen, 6)],
)
def test_over_nccl_each_rank_uses_a_gpu_of_its_own(
    distributed: FakeDistributed,
    monkeypatch: pytest.MonkeyPatch,
    local_rank: str | None,
    prepare: Callable[[FakeCuda], None] | None,
    gpu: int,
) -> None:
    if local_rank is not None:
        monkeypatch.setenv("LOCAL_RANK", local_rank)
    if prepare is not None:
        prepare(distributed.cuda)
    before = distributed.cuda.current
    ranks = find_ranks()
    assert isinstance(ranks, TorchRanks)
    assert ranks.share("own") == "rank 0's"
    assert ranks.gather(1) == [1] * 8
    assert distributed.used == [gpu, gpu]
    assert distributed.cuda.current == before


@pytest.mark.parametrize("kind", [RuntimeError, ValueError])  # of a peer that is gone, a group destroyed
def test_a_collective_that_fails_is_said_once_and_is_the_last(
    distributed: FakeDistributed, caplog: pytest.LogCaptureFixture, kind: type[Exception]
) -> None:
    ranks = TorchRanks()
    distributed.error = kind("Connection closed by peer")
    assert [ranks.share("own"), ranks.share("own")] == ["own", "own"]
    assert ranks.gather(7) == [7 if rank == 3 else None for rank in range(8)]
    assert len(distributed.used) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "Rank 3 goes on alone: torch.distributed failed: Connection closed by peer"
    ]


def test_torch_ranks_want_torch_distributed_initialised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch.distributed", raising=False)
    with pytest.raises(OutOfOrder, match="init_process_group"):
        TorchRanks()


def test_finding_ranks_imports_no_framework(tmp_path: Path) -> None:
    frameworks = ("torch", "lightning", "pytorch_lightning", "transformers", "keras", "mpi4py")
    for name in frameworks:
        (tmp_path / f"{name}.py").touch()  # so that an import of it would succeed
    code = f"""
import json, sys
import batchbandit, batchbandit.fleet, batchbandit.learning_rate
from batchbandit.ranks import find_ranks
find_ranks()
print(json.dumps([name for name in {(*frameworks, "httpx", "pynvml")} if name in sys.modules]))
"""
    process = started(code, folder=tmp_path)
    assert printed(process) == []
