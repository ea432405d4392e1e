"""What the terms of a job may be: what a client could state, and nothing else."""

from typing import Any, get_args, get_type_hints

import pytest
from msgspec import Meta

from core.terms import FINITE, LENGTHS, RANGES
from service.web.wire import JobBody


def stated(name: str) -> Meta:
    """Return what a body may have as a member."""
    hint = get_type_hints(JobBody, include_extras=True)[name]
    (meta,) = (one for each in (hint, *get_args(hint)) for one in getattr(each, "__metadata__", ()))
    assert isinstance(meta, Meta)
    return meta


@pytest.mark.parametrize("name", [name for name in RANGES if name not in {"target_metric", "lease_seconds"}])
def test_a_number_may_be_what_a_body_may_have(name: str) -> None:
    allowed, meta = RANGES[name], stated(name)
    lowest: Any = meta.gt if allowed.is_above else meta.ge
    assert (allowed.lowest, allowed.highest) == (lowest, FINITE if meta.le is None else meta.le)


@pytest.mark.parametrize("name", LENGTHS)
def test_a_text_may_be_as_long_as_a_body_may_have_it(name: str) -> None:
    assert LENGTHS[name] == stated(name).max_length


def test_a_range_says_whether_its_lowest_is_in_it() -> None:
    eta, power = RANGES["eta_knob"], RANGES["max_power"]
    assert (eta.holds(0), eta.holds(1), eta.holds(1.1), eta.holds(float("nan"))) == (True, True, False, False)
    assert (power.holds(0), power.holds(1), power.holds(float("inf"))) == (False, True, False)
    assert (str(eta), str(power)) == ("from 0 to 1", "above 0, up to 1e+100")
