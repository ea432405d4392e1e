"""Figures as people read them."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.views import figures

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
UNITS = {f"{prefix}J": 1000.0 ** (place - 1) for place, prefix in enumerate(figures.PREFIXES)}
LENGTHS = {"d": 86400, "h": 3600, "min": 60, "s": 1}

energies = st.floats(1e-3, 1e20) | st.floats(-1e20, -1e-3)


def value_of(text: str) -> float:
    """Return the number that a text begins with."""
    return float(text.split(maxsplit=1)[0].replace(figures.MINUS, "-").replace(",", ""))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0.0, "0 J"),
        (-0.0, "0 J"),
        (0.25, "250 mJ"),
        (0.9996, "1.00 J"),
        (1.0, "1.00 J"),
        (999.4, "999 J"),
        (999.6, "1.00 kJ"),
        (-1234.0, "−1.23 kJ"),
        (5.678e7, "56.8 MJ"),
        (4e18, "4.00 EJ"),
        (4e24, "4.00e+24 J"),
        (9.999e20, "1.00e+21 J"),
        (1e-9, "1.00e-09 J"),
        (9.999e-4, "1.00 mJ"),
    ],
)
def test_joules_have_three_digits_and_a_prefix(value: float | None, shown: str) -> None:
    assert figures.joules(value) == shown


@given(energies)
def test_joules_read_back_are_within_half_a_percent(value: float) -> None:
    shown = figures.joules(value)
    assert value_of(shown) * UNITS[shown.split()[1]] == pytest.approx(value, rel=0.005)
    assert len(re.sub(r"\D", "", shown)) == 3


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0.0, "0 s"),
        (-0.0, "0 s"),
        (4e-9, "4.00e-09 s"),
        (50.0, "50.0 s"),
        (12.345, "12.3 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (3599.6, "1 h"),
        (7265, "2 h 1 min"),
        (86399, "1 d"),
        (-90000, "−1 d 1 h"),
        (1e9, "11,574 d 2 h"),
        (1e98, "1.00e+98 s"),
    ],
)
def test_seconds_are_in_the_two_largest_units(value: float | None, shown: str) -> None:
    assert figures.seconds(value) == shown


@given(st.floats(0.001, 1e11))
def test_seconds_read_back_are_as_exact_as_their_second_unit(value: float) -> None:
    parts = re.findall(r"([\d.,]+) (\w+)", figures.seconds(value))
    read = sum(float(amount.replace(",", "")) * LENGTHS[unit] for amount, unit in parts)
    assert 1 <= len(parts) <= 2
    assert read == pytest.approx(value, rel=0.025)


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (None, "–"),
        (0.0, "0 %"),
        (-0.0001, "0 %"),
        (0.0123, "1.2 %"),
        (0.0996, "10 %"),
        (0.5, "50 %"),
        (1, "100 %"),
        (-0.25, "−25 %"),
        (-12.5, "−1,250 %"),
    ],
)
def test_shares_are_percents(share: float | None, shown: str) -> None:
    assert figures.percent(share) == shown


@given(st.floats(-100, 100))
def test_percents_read_back_are_within_half_of_their_last_digit(share: float) -> None:
    assert value_of(figures.percent(share)) == pytest.approx(share * 100, abs=0.5001)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (7200, "2 h ago"),
        (86400 * 3.5, "3 d ago"),
        (86400 * 65, "2 months ago"),
        (86400 * 800, "2 years ago"),
        (-300, "in 5 min"),
    ],
)
def test_ages_are_in_their_largest_unit(seconds: float, shown: str) -> None:
    assert figures.ago(NOW - timedelta(seconds=seconds), NOW) == shown


def test_times_are_told_to_the_second_in_utc() -> None:
    assert figures.moment(None) == "–"
    assert figures.moment(NOW.astimezone(timezone(timedelta(hours=2)))) == "2026-03-01 12:00:00"


def test_counts_have_their_thousands_apart() -> None:
    assert [figures.count(value) for value in (None, 0, 1234567)] == ["–", "0", "1,234,567"]


@given(energies, st.floats(0.9, 1.1))
def test_two_costs_are_told_apart_where_their_first_digits_are_the_same(cost: float, ratio: float) -> None:
    one, other = figures.apart(cost, cost * ratio)
    assert one == figures.joules(cost) or len(one) > len(figures.joules(cost))
    assert one != other or abs(ratio - 1) < 1e-6
