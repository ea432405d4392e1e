"""CUDA_VISIBLE_DEVICES is read as CUDA reads it."""

from __future__ import annotations

import pytest

from batchbandit.energy.visible import Choice, Gpu, Instance, names_indices, visible

FIRST, SECOND = "GPU-11aa0000-0000", "GPU-11bb0000-0000"
GPUS = [
    Gpu(FIRST),
    Gpu(SECOND, [Instance("MIG-5e00-1", 1, 0), Instance("MIG-5e00-2", 2, 0), Instance("MIG-77", 2, 1)]),
    Gpu("GPU-22cc0000-0000"),
]
ALL = [Choice(0), Choice(1), Choice(2)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ALL),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0", [Choice(0)]),
        ("2,0", [Choice(2), Choice(0)]),
        (" 2 , 0 ", [Choice(2), Choice(0)]),
        ("0,2,-1,1", [Choice(0), Choice(2)]),
        ("0,3,1", [Choice(0)]),
        ("0,,1", [Choice(0)]),
        ("1gpu,2x", [Choice(1), Choice(2)]),
        ("0,0", []),
        (FIRST, [Choice(0)]),
        ("GPU-22,GPU-11aa", [Choice(2), Choice(0)]),
        ("GPU-22,GPU-11,GPU-11aa", [Choice(2)]),  # the second is two GPUs
        ("GPU-33", []),
        ("gpu-22", []),
        ("MIG-5e00-2", [Choice(1, 1)]),
        ("MIG-7", [Choice(1, 2)]),
        ("MIG-5e00", []),
        ("MIG-5e00-1,MIG-77", [Choice(1, 0), Choice(1, 2)]),
        ("MIG-77,MIG-77", []),
        (f"MIG-{SECOND}/2/1", [Choice(1, 2)]),
        (f"MIG-{SECOND}/3/0", []),
        (f"MIG-{FIRST}/1/0", []),
        (f"MIG-{SECOND}/1/0,0", [Choice(1, 0), Choice(0)]),
    ],
)
def test_what_is_visible(value: str | None, expected: list[Choice]) -> None:
    assert visible(value, GPUS) == expected


def test_a_gpu_without_a_uuid_is_found_by_index_alone() -> None:
    assert visible("GPU-", [Gpu("")]) == []
    assert visible("0", [Gpu("")]) == [Choice(0)]


@pytest.mark.parametrize(
    ("value", "expected"), [(None, False), ("0,1", True), ("GPU-11,1", True), ("GPU-1", False)]
)
def test_whether_gpus_are_named_by_index(value: str | None, expected: bool) -> None:
    assert names_indices(value) is expected
