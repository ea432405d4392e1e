"""The devices of all ranks: each is measured once, and counted once."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchbandit.energy.meters import Device
from batchbandit.errors import InvalidJob
from batchbandit.fleet import Fleet, assigned_elsewhere, check_divisible
from batchbandit.ranks import Alone

H100 = [Device(f"GPU-{index}", "NVIDIA H100", 700.0) for index in range(4)]
A100 = [Device(f"GPU-{index}", "NVIDIA A100", 400.0) for index in range(4, 6)]
CPU = [Device(f"host/package-{index}", "Xeon", 250.0, is_gpu=False) for index in range(2)]
DEVICES = H100 + A100 + CPU


class Gathered:
    """A rank that gathers what it is told that all of them say."""

    def __init__(self, rank: int, seen: list[list[Device] | None]) -> None:
        self.rank = rank
        self.size = len(seen)
        self._said = [None if devices is None else [asdict(device) for device in devices] for devices in seen]

    def share(self, value: object) -> NoReturn:
        """Fail: nothing here is to be shared."""
        raise NotImplementedError

    def gather(self, value: object) -> list[Any]:
        """Return what all of them say."""
        assert value == self._said[self.rank]
        return self._said


@given(st.lists(st.lists(st.sampled_from(DEVICES), unique=True), min_size=1, max_size=6))
def test_each_device_is_measured_by_exactly_one_rank(seen: list[list[Device] | None]) -> None:
    measured = []
    for rank, devices in enumerate(seen):
        assert devices is not None
        elsewhere = assigned_elsewhere(Gathered(rank, seen), devices)
        assert elsewhere <= {device.identity for device in devices}
        measured += [device.identity for device in devices if device.identity not in elsewhere]
        together = {device for each in seen for device in each or ()}
        assert Fleet.of(Gathered(rank, seen), devices).max_power == sum(
            device.max_power for device in together
        )
    assert sorted(measured) == sorted({device.identity for devices in seen for device in devices or ()})


def test_ranks_that_see_their_own_gpus_leave_out_none() -> None:
    seen: list[list[Device] | None] = [[gpu] for gpu in H100]
    assert [assigned_elsewhere(Gathered(rank, seen), [H100[rank]]) for rank in range(4)] == [set()] * 4


def test_ranks_that_see_all_gpus_leave_them_to_rank_0() -> None:
    seen: list[list[Device] | None] = [H100, H100]
    assert assigned_elsewhere(Gathered(0, seen), H100) == set()
    assert assigned_elsewhere(Gathered(1, seen), H100) == {gpu.identity for gpu in H100}


def test_a_missing_rank_has_no_devices() -> None:
    seen: list[list[Device] | None] = [None, H100[:1]]
    assert assigned_elsewhere(Gathered(1, seen), H100[:1]) == set()
    assert Fleet.of(Gathered(1, seen), H100[:1]) == Fleet(700.0, 1, "NVIDIA H100")


def test_a_fleet_counts_gpus_and_names_their_models() -> None:
    assert Fleet.of(Alone(), H100) == Fleet(2800.0, 4, "NVIDIA H100")
    assert Fleet.of(Alone(), H100 + A100) == Fleet(3600.0, 6, "NVIDIA A100 + NVIDIA H100")
    assert Fleet.of(Alone(), H100[:1] + CPU) == Fleet(1200.0, 1, "NVIDIA H100")
    assert Fleet.of(Alone(), CPU) == Fleet(500.0, 0, "Xeon")
    assert Fleet.of(Alone(), []) == Fleet(0, 0, "")


def test_batch_sizes_that_ranks_cannot_share_are_named() -> None:
    check_divisible([8, 12, 32], 4)
    check_divisible([7, 9], 1)
    with pytest.raises(InvalidJob, match=r"batch_sizes has 9, 18, which 4 ranks cannot share evenly"):
        check_divisible((8, 9, 18), 4)
