"""Figures as people read them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.views.figures import MOST_DIGITS, PREFIXES, apart, joules, number_of, seconds


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0 J"),
        (0.0123, "0.0123 J"),
        (1.0, "1.00 J"),
        (12.34, "12.3 J"),
        (999.4, "999 J"),
        (999.6, "1.00 kJ"),
        (1_210_000.0, "1.21 MJ"),
        (-5_404.5, "-5.40 kJ"),
        (123_456_789.0, "123 MJ"),
        (9.996e17, "1.00 EJ"),
        (1e24, "1e+24 J"),
        (1e100, "1e+100 J"),
    ],
)
def test_energies_have_three_digits_and_a_prefix(value: float, shown: str) -> None:
    assert joules(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0 s"),
        (0.5, "0.5 s"),
        (75.0, "75.0 s"),
        (119.96, "120 s"),
        (120.0, "2.00 min"),
        (1530.0, "25.5 min"),
        (-1530.0, "-25.5 min"),
        (7200.0, "2.00 h"),
        (3600.0 * 12_345, "12,345 h"),
    ],
)
def test_times_are_in_the_unit_that_is_read_best(value: float, shown: str) -> None:
    assert seconds(value) == shown


def test_two_costs_that_differ_are_told_apart() -> None:
    assert apart(1.21e6, 1.28e6) == ("1.21 MJ", "1.28 MJ")
    assert apart(1.2101e6, 1.2102e6) == ("1.2101 MJ", "1.2102 MJ")
    assert apart(1.0, 1.0) == apart(1.0, 1.0 + 1e-12)


@settings(deadline=None)
@given(value=st.floats(1e-6, 1e20) | st.floats(-1e20, -1e-6), digits=st.integers(3, MOST_DIGITS))
def test_a_figure_is_the_value_to_its_digits(value: float, digits: int) -> None:
    number, unit = joules(value, digits).replace(",", "").split(" ")
    read = float(number) * 1000.0 ** PREFIXES.index(unit.removesuffix("J"))
    assert read == pytest.approx(value, rel=10.0 ** (1 - digits))


def test_a_count_names_one_thing_or_many() -> None:
    assert (number_of(1, "trial"), number_of(12_000, "trial"), number_of(0, "trial")) == (
        "1 trial",
        "12,000 trials",
        "0 trials",
    )
