"""Ranks over torch.distributed, the loader, and learning rates of PyTorch's optimizers."""

# ruff: noqa: ANN401 - where this is checked, the frameworks have no types

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.utils.data import RandomSampler, SequentialSampler, TensorDataset

from batchbandit.integrations.pytorch import loader
from batchbandit.learning_rate import scale
from batchbandit.ranks import Alone

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = """
import json, logging, os, signal, sys, time
from datetime import timedelta
from torch import distributed
from batchbandit.ranks import TorchRanks, find_ranks
logging.basicConfig(format="%(message)s")
rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
meeting = f"file://{folder}/meeting"
limit = timedelta(seconds=60)
distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size, timeout=limit)
"""


def ran(code: str, size: int, folder: Path) -> list[tuple[Any, str, int]]:
    """Run a script on each rank; return what each printed, its errors and its exit code."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BEGIN + code, str(rank), str(size), str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    ended = [(*process.communicate(timeout=120), process.returncode) for process in processes]
    return [(json.loads(output or "null"), errors, code) for output, errors, code in ended]


def test_processes_share_and_gather(tmp_path: Path) -> None:
    code = """
ranks = find_ranks()
said = [type(ranks).__name__, ranks.share({"from": rank}), ranks.gather(rank * 10), ranks.share(rank)]
print(json.dumps(said))
distributed.barrier()  # else gloo's threads may still hold tensors when Python ends, and abort it
distributed.destroy_process_group()
"""
    ended = ran(code, 2, tmp_path)
    assert [said for said, _, _ in ended] == [["TorchRanks", {"from": 0}, [0, 10], 0]] * 2, ended
    assert [code for *_, code in ended] == [0, 0]


def test_processes_of_a_group_are_ranks_of_their_own(tmp_path: Path) -> None:
    code = """
group = distributed.new_group([1, 2])
said = None
if rank != 0:
    ranks = TorchRanks(group)
    said = [ranks.rank, ranks.size, ranks.share(rank), ranks.gather(rank)]
else:
    try:
        TorchRanks(group)
    except ValueError as error:
        said = str(error)
distributed.barrier()
print(json.dumps(said))
distributed.destroy_process_group()
"""
    ended = ran(code, 3, tmp_path)
    outside = "this process is not in the group: make its trial without it."
    assert [said for said, _, _ in ended] == [outside, [0, 2, 1, [1, 2]], [1, 2, 1, [1, 2]]], ended


def test_after_a_rank_is_killed_the_other_goes_on_alone(tmp_path: Path) -> None:
    code = """
ranks = find_ranks()
first = ranks.gather(rank)
if rank == 0:
    os.kill(os.getpid(), signal.SIGKILL)
print(json.dumps([first, ranks.share("own"), ranks.gather("own"), ranks.share("again")]))
sys.stdout.flush()
os._exit(0)
"""
    ended = ran(code, 2, tmp_path)
    assert ended[1][0] == [[0, 1], "own", [None, "own"], "again"], ended
    assert ended[1][1].count("Rank 1 goes on alone: torch.distributed failed") == 1
    assert [code for *_, code in ended] == [-9, 0]


DATA = TensorDataset(torch.arange(96))


def seen(batches: Any) -> list[list[int]]:
    """Return the batches of an epoch."""
    return [batch.tolist() for (batch,) in batches]


def test_alone_a_loader_has_the_batch_size_and_shuffles() -> None:
    trial: Any = SimpleNamespace(ranks=Alone(), batch_size=24, per_device_batch_size=24)
    shuffled = loader(DATA, trial)
    assert [len(batch) for batch in seen(shuffled)] == [24] * 4
    assert isinstance(shuffled.sampler, RandomSampler)
    assert isinstance(loader(DATA, trial, shuffle=False, num_workers=0).sampler, SequentialSampler)


def test_ranks_share_the_data_and_each_epoch_anew() -> None:
    trials: list[Any] = [
        SimpleNamespace(ranks=SimpleNamespace(rank=rank, size=3), batch_size=24, per_device_batch_size=8)
        for rank in range(3)
    ]
    loaders = [loader(DATA, trial, drop_last=True) for trial in trials]
    epochs = []
    for _ in range(2):
        batches = [seen(each) for each in loaders]
        assert [len(batch) for rank in batches for batch in rank] == [8] * 12
        assert sorted(number for rank in batches for batch in rank for number in batch) == list(range(96))
        epochs.append(batches)
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("rate", [0.1, torch.tensor(0.1)])
def test_the_learning_rates_of_an_optimizer_are_scaled(rate: Any) -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=rate, foreach=False)
    scale(optimizer, 32, 128, "square_root")
    assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(0.2)


def test_importing_the_client_imports_no_framework() -> None:
    code = """
import sys
import batchbandit, batchbandit.ranks, batchbandit.learning_rate
frameworks = ("torch", "lightning", "pytorch_lightning", "transformers", "keras", "numpy", "httpx", "pynvml")
assert not [name for name in frameworks if name in sys.modules]
"""
    subprocess.run([sys.executable, "-c", code], check=True)
