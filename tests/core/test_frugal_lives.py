"""Whatever happens to a job of the policy ``frugal``, it stands as its trials make it, and goes on."""

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.errors import CoreError
from core.leases import EXPIRED
from core.policies import frugal
from core.policies.knowledge import (
    Course,
    Inherited,
    Knowledge,
    Leader,
    Seen,
    Suspect,
    course_of,
    read,
    write,
)
from core.records import TrialStatus
from tests.core.conftest import Ledger

MakeFrugal = Callable[..., Ledger]
SAID = st.fixed_dictionaries(
    {
        "time": st.floats(1.0, 100.0),
        "energy": st.floats(0.0, 1e4),
        "metric": st.sampled_from([0.1, 0.2, 0.5, 0.9, math.nan, math.inf]),
        "current_epoch": st.integers(1, 11),
    }
)
TERMS = st.sampled_from(
    [
        *({"eta_knob": eta} for eta in (0.0, 0.3, 0.9)),
        *({"beta_knob": beta} for beta in (None, 0.5, 3.0)),
        {"max_epochs": 3},
        {"window_size": 2},
    ]
)
STEPS = st.one_of(
    st.tuples(st.just("suggest"), st.just(0), st.none()),
    st.tuples(st.just("begin"), st.integers(0, 4), st.none()),
    st.tuples(st.just("report"), st.integers(0, 9), SAID),
    st.tuples(st.just("report"), st.integers(0, 9), SAID.map(lambda said: said | {"metric": 0.5})),
    st.tuples(st.just("end"), st.integers(0, 9), st.sampled_from([None, "out_of_memory", "preempted"])),
    st.tuples(st.just("wait"), st.sampled_from([1, 30]), st.none()),
    st.tuples(st.just("change"), st.just(0), TERMS),
    st.tuples(st.sampled_from(["pause", "reset"]), st.just(0), st.none()),
)


def act(ledger: Ledger, action: str, place: int, detail: Any) -> None:  # noqa: ANN401  (of the action)
    """Do something with a job, or with one of its trials that may yet report.

    Raises:
        CoreError: It is refused.
    """
    open_trials = [
        number
        for number, trial in ledger.trials.items()
        if trial.status is TrialStatus.DISPATCHED or trial.failure_reason == EXPIRED
    ]
    chosen = open_trials[place % len(open_trials)] if open_trials else None
    ledger.expire()
    match action:
        case "suggest":
            ledger.suggest()
        case "begin":
            ledger.begin(ledger.batch_sizes[place % len(ledger.batch_sizes)])
        case "report" if chosen is not None:
            ledger.report(chosen, **detail)
        case "end" if chosen is not None and ledger.trials[chosen].status is TrialStatus.DISPATCHED:
            ledger.end(chosen, detail)
        case "wait":
            ledger.now += timedelta(hours=place)
            ledger.expire()
        case "change":
            ledger.change(**detail)
        case "pause":
            ledger.job = replace(ledger.job, is_paused=not ledger.job.is_paused)
        case "reset":
            ledger.reset()


@settings(deadline=None, max_examples=300)
@given(
    steps=st.lists(STEPS, min_size=5, max_size=60),
    sizes=st.sampled_from([(64,), (16, 64), (8, 16, 32, 64, 128)]),
    terms=st.fixed_dictionaries(
        {
            "eta_knob": st.sampled_from([0.0, 0.5, 1.0]),
            "beta_knob": st.sampled_from([None, 1.0, 2.0]),
            "num_pruning_rounds": st.integers(0, 2),
            "lease_seconds": st.sampled_from([None, 60.0]),
            "max_failures": st.integers(1, 3),
        }
    ),
)
def test_a_job_is_as_its_trials_make_it_whatever_happens(
    make_frugal: MakeFrugal, steps: list[tuple[str, int, Any]], sizes: tuple[int, ...], terms: dict[str, Any]
) -> None:
    ledger = make_frugal(sizes, **terms)
    again = make_frugal(sizes, **terms)
    for action, place, detail in steps:
        before = ledger.job, dict(ledger.trials), dict(ledger.arms)
        try:
            act(ledger, action, place, detail)
        except CoreError:
            assert (ledger.job, ledger.trials, ledger.arms) == before, "what is refused changes nothing"
        assert ledger.findings() == []
        known = frugal.known_of(ledger.job)
        counted = [t for n, t in ledger.trials.items() if n > ledger.job.reset_number]
        assert set(known.running) == {
            trial.trial_number for trial in counted if trial.status is TrialStatus.DISPATCHED
        }
        converged = {trial.batch_size for trial in counted if trial.converged}
        assert {size for size, seen in known.seen.items() if seen.successes > 0} <= converged
        assert (known.leader is None) == (not converged) or ledger.job.num_drifts > 0
        assert write(read(write(known))) == ledger.job.knowledge
    for action, place, detail in steps:  # a second time, it all comes out as it did
        try:
            act(again, action, place, detail)
        except CoreError:
            continue
    assert (again.job, again.trials, again.arms) == (ledger.job, ledger.trials, ledger.arms)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SIZES = st.integers(1, 2**31 - 1)
LEVELS = st.lists(st.tuples(st.integers(1, 2**31 - 1), NUMBERS), max_size=4).map(tuple)
OR_NONE = st.none() | NUMBERS


@settings(deadline=None, max_examples=200)
@given(
    knowledge=st.builds(
        Knowledge,
        st.lists(SIZES, max_size=4).map(tuple),
        seen=st.dictionaries(
            SIZES, st.builds(Seen, *[NUMBERS] * 12, OR_NONE, NUMBERS, NUMBERS, SIZES), max_size=3
        ),
        curves=st.dictionaries(SIZES, LEVELS, max_size=3),
        running=st.dictionaries(SIZES, SIZES, max_size=3),
        inherited=st.dictionaries(SIZES, st.builds(Inherited, *[NUMBERS] * 4), max_size=3),
        before=st.dictionaries(SIZES, st.builds(Inherited, *[NUMBERS] * 4), max_size=3),
        watched=st.tuples(NUMBERS, NUMBERS),
        suspects=st.lists(
            st.builds(Suspect, SIZES, NUMBERS, NUMBERS, NUMBERS, st.integers(0, 3), OR_NONE), max_size=3
        ).map(tuple),
        leader=st.none() | st.builds(Leader, SIZES, NUMBERS),
    ),
    course=st.builds(Course, LEVELS, st.integers(0, 2**31 - 1), st.integers(0, 3), OR_NONE),
)
def test_what_is_kept_is_read_back_to_the_last_bit(knowledge: Knowledge, course: Course) -> None:
    text = write(knowledge)
    assert write(read(text)) == text
    assert repr(seen_in(read(text))) == repr(seen_in(knowledge))
    kept = write(course)
    assert (write(course_of(kept)), course_of(kept).bound) == (kept, course.bound)


def seen_in(knowledge: Knowledge) -> list[object]:
    """Return all numbers of what is known, in order, whichever kind of sequence holds them."""
    return [
        knowledge.batch_sizes,
        sorted(knowledge.seen.items()),
        sorted((size, tuple(map(tuple, levels))) for size, levels in knowledge.curves.items()),
        list(knowledge.running.items()),
        sorted(knowledge.inherited.items()),
        sorted(knowledge.before.items()),
        knowledge.watched,
        tuple(knowledge.suspects),
        knowledge.leader,
    ]
