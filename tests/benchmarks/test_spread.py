"""Figures of rounds and of pairs."""

import numpy as np
import pytest

from benchmarks.markdown import Table
from benchmarks.spread import paired_ratio, ratios, spread


def test_a_spread_is_of_its_rounds() -> None:
    assert spread([3.0, 1.0, 2.0]).shown(0) == "2 (1 … 3)"
    assert spread([3.0, 1.0, 2.0]).rounds == (3.0, 1.0, 2.0)


def test_ratios_are_of_one_round_each() -> None:
    assert ratios([10.0, 40.0], [5.0, 10.0]).rounds == (2.0, 4.0)


@pytest.mark.parametrize("seed", range(5))
def test_a_paired_ratio_is_found_under_moods_that_both_share(seed: int) -> None:
    draws = np.random.default_rng(seed)
    moods = draws.uniform(1, 2, size=2_000)
    under = moods * draws.lognormal(0, 0.05, size=2_000)
    over = moods * draws.lognormal(np.log(1.1), 0.05, size=2_000)
    found = paired_ratio(over, under)
    assert found.low < found.median < found.high
    assert found.median == pytest.approx(1.1, rel=0.01)
    assert found.high - found.low < 0.02
    assert found.pairs == 2_000


def test_a_table_keeps_bars_out_of_its_cells() -> None:
    assert Table(("what", "n"), [("a|b", "1")]).markdown() == "| what | n |\n| --- | ---: |\n| a\\|b | 1 |"
