"""What the service counts: of what happens, of requests, of its database."""

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY, CollectorRegistry

from core.records import TrialStatus, TrialType
from service import metrics
from service.engine.census import Census
from service.store.databases import open_database
from service.store.happening import Happening, Kind
from tests.service.talk import Api


def total(name: str, **labels: str) -> float:
    """Return one of this process's figures, 0 where there is none yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def happening(kind: Kind, **detail: Any) -> Happening:  # noqa: ANN401  (as JSON has it)
    """Return something that has happened to a job."""
    return Happening("job", kind, datetime.now(UTC), detail)


def ended(**changes: Any) -> Happening:  # noqa: ANN401  (as JSON has it)
    """Return that a trial has ended, well where nothing else is said."""
    told = {
        "trial_number": 1,
        "batch_size": 8,
        "type": TrialType.MAB,
        "status": TrialStatus.SUCCEEDED,
        "converged": True,
        "failure_reason": None,
        "is_late": False,
        "time": 1.0,
        "energy": 1.0,
        "saved_time": None,
        "saved_energy": None,
    }
    return happening(Kind.TRIAL_ENDED, **told | changes)


FAILED: dict[str, Any] = {"status": TrialStatus.FAILED, "converged": None, "time": None, "energy": None}


@pytest.mark.parametrize(
    ("changes", "outcome", "leases"),
    [
        ({}, "converged", 0),
        ({"converged": False}, "unconverged", 0),
        (FAILED, "failed", 0),
        (FAILED | {"failure_reason": "preempted"}, "failed", 0),
        (FAILED | {"failure_reason": "lease_expired"}, "failed", 1),
        ({"is_late": True}, "late_converged", 0),
        ({"is_late": True, "converged": False, "failure_reason": "lease_expired"}, "late_unconverged", 0),
    ],
)
def test_a_trial_that_ends_is_counted_by_what_came_of_it(
    changes: dict[str, Any], outcome: str, leases: int
) -> None:
    name = "batchbandit_trials_ended_total"
    before = {each: total(name, outcome=each) for each in metrics.OUTCOMES}
    expired = total("batchbandit_leases_expired_total")
    metrics.count([ended(**changes)])
    risen = {each for each in metrics.OUTCOMES if total(name, outcome=each) != before[each]}
    assert risen == {outcome}
    assert total("batchbandit_leases_expired_total") - expired == leases


def test_what_was_dispatched_and_set_aside_is_counted() -> None:
    name, labels = "batchbandit_trials_dispatched_total", {"rule": "sampled", "type": "MAB"}
    dispatched, aside = total(name, **labels), total("batchbandit_batch_sizes_set_aside_total")
    drifts = total("batchbandit_drifts_total")
    told = happening(Kind.TRIAL_DISPATCHED, trial_number=1, batch_size=8, type="MAB", rule="sampled")
    metrics.count([told, told, happening(Kind.BATCH_SIZE_SET_ASIDE, batch_size=8, failure_reason=None)])
    assert total(name, **labels) - dispatched == 2
    assert total("batchbandit_batch_sizes_set_aside_total") - aside == 1
    metrics.count([happening(Kind.DRIFT_DETECTED, trial_number=1, batch_size=8)])
    assert total("batchbandit_drifts_total") - drifts == 1


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.startswith(("job_", "stage_"))])
def test_what_happens_to_a_job_as_a_whole_is_no_figure_of_trials(kind: Kind) -> None:
    before = list(REGISTRY.collect())
    metrics.count([happening(kind)])
    of_trials = [metric for metric in REGISTRY.collect() if metric.name.startswith("batchbandit_trials")]
    assert of_trials == [metric for metric in before if metric.name.startswith("batchbandit_trials")]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.none() | st.floats(-1e9, 1e9), max_size=5))
def test_what_is_saved_and_what_is_lost_only_rise_and_their_difference_is_the_sum(
    savings: list[float | None],
) -> None:
    for unit, member in (("joules", "saved_energy"), ("seconds", "saved_time")):
        names = [f"batchbandit_{word}_{unit}_total" for word in ("saved", "lost")]
        gained, lost = (total(name) for name in names)
        for saved in savings:
            before = [total(name) for name in names]
            metrics.count([ended(**{member: saved})])
            assert all(total(name) >= old for name, old in zip(names, before, strict=True))
        balance = (total(names[0]) - gained) - (total(names[1]) - lost)
        assert balance == pytest.approx(sum(saved for saved in savings if saved is not None), abs=1e3)


def figure(http: httpx.Client, name: str) -> float | None:
    """Return one of a service's figures, None where it does not give it."""
    answer = http.get("/metrics")
    assert answer.status_code == 200, answer.text
    found = re.search(rf"^{re.escape(name)} (\S+)$", answer.text, re.MULTILINE)
    return float(found[1]) if found else None


def test_trials_of_a_service_are_counted(api: Api, http: httpx.Client) -> None:
    dispatched = 'batchbandit_trials_dispatched_total{rule="default",type="Exploration"}'
    converged = 'batchbandit_trials_ended_total{outcome="converged"}'
    before = [figure(http, name) or 0 for name in (dispatched, converged)]
    waits = figure(http, "batchbandit_commit_wait_seconds_count") or 0
    api.run(api.register()["job_id"])
    assert [figure(http, name) for name in (dispatched, converged)] == [before[0] + 1, before[1] + 1]
    assert (figure(http, "batchbandit_commit_wait_seconds_count") or 0) >= waits + 4


@pytest.mark.parametrize(
    ("method", "path", "problem"),
    [
        ("GET", "/jobs/batch_size?job_id=nobody", "unknown-job"),
        ("GET", "/jobs/batch_size", "invalid-request"),
        ("GET", "/nothing", "not-found"),
        ("PUT", "/report", "method-not-allowed"),
        ("DELETE", "/jobs?job_id=nobody", "job-not-found"),
    ],
)
def test_a_refusal_is_counted_by_its_problem(
    http: httpx.Client, method: str, path: str, problem: str
) -> None:
    name = f'batchbandit_refused_requests_total{{problem="{problem}"}}'
    before = figure(http, name) or 0
    answer = http.request(method, path)
    assert answer.json()["type"].endswith(f":{problem}")
    assert figure(http, name) == before + 1


def test_what_is_refused_before_it_is_a_request_is_counted_and_has_a_name(http: httpx.Client) -> None:
    name = 'batchbandit_refused_requests_total{problem="body-too-large"}'
    before = figure(http, name) or 0
    answer = http.post("/report", content=b"x" * (2 << 20))
    assert answer.status_code == 413
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])
    assert figure(http, name) == before + 1


class Watched:
    """A database that counts how often it is asked, and may be away."""

    def __init__(self, url: str) -> None:
        self.database = open_database(url)
        self.reads = 0

    async def check(self) -> None:
        """Read from the database."""
        await self.database.check()

    async def read(self, work: Callable[..., Any]) -> Any:  # noqa: ANN401  (as what is read)
        """Run ``work``."""
        self.reads += 1
        return await self.database.read(work)


def test_jobs_are_counted_once_for_all_who_ask_at_a_time(tmp_path: Path) -> None:
    async def scene() -> int:
        watched = Watched(f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}")
        census = Census(watched)
        await asyncio.gather(*(census.refresh() for _ in range(20)))
        await census.refresh()
        registry = CollectorRegistry()
        registry.register(census)
        assert registry.get_sample_value("batchbandit_jobs", {"stage": "Pruning"}) == 0
        assert registry.get_sample_value("batchbandit_database_up") == 1
        await watched.database.close()
        return watched.reads

    assert asyncio.run(scene()) == 1


def test_nobody_waits_long_for_a_database_that_says_nothing() -> None:
    class Silent:
        async def check(self) -> None:
            await asyncio.sleep(3600)

        async def read(self, work: Callable[..., Any]) -> Any:  # noqa: ANN401  (as what is read)
            return work

    async def scene() -> float | None:
        census = Census(Silent())
        await census.refresh()
        registry = CollectorRegistry()
        registry.register(census)
        census.give_up()
        await census.ended()
        assert registry.get_sample_value("batchbandit_jobs", {"stage": "MAB"}) is None
        return registry.get_sample_value("batchbandit_database_up")

    assert asyncio.run(asyncio.wait_for(scene(), 10)) == 0
