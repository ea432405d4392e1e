"""A policy that keeps all that a policy may: what is stored for it can be read off."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from msgspec.structs import replace

from core import policies
from core.needs import Precedent
from core.policies import zeus
from core.policies.protocol import Drift, Judged, Learning, Learnt
from core.records import Job, Policy, Report, Trial

DEAR = 100_000.0
"""Joules beyond which a result is a drift."""


class Keeping(ModuleType):
    """Policy ``zeus``, which writes down what it hears, and takes a dear result for a drift."""

    STARTS_WARM = True

    def __init__(self) -> None:
        super().__init__("keeping")

    def __getattr__(self, name: str) -> object:
        return getattr(zeus, name)

    def registered(self, job: Job, batch_sizes: Sequence[int], precedents: Sequence[Precedent]) -> Job:
        """Note the jobs to begin with, and the numbers of their results."""
        seen = {one.job.job_id: [trial.trial_number for trial in one.trials] for one in precedents}
        return noted(job, batch_sizes=list(batch_sizes), precedents=seen, running=0, learnt=[], resets=0)

    def dispatched(self, job: Job, trial: Trial) -> Job:  # noqa: ARG002
        """Note that one more trial runs."""
        return noted(job, running=of(job)["running"] + 1)

    def lost(self, job: Job, trial: Trial) -> Job:  # noqa: ARG002
        """Note that one trial runs no more."""
        return noted(job, running=of(job)["running"] - 1)

    def judge(self, job: Job, trial: Trial, said: Report) -> Judged:
        """Note the metric."""
        judged = zeus.judge(job, trial, said)
        return Judged(judged.verdict, replace(trial, curve=f"{trial.curve or ''}{said.metric:g};"))

    def learn(self, job: Job, ended: Trial) -> Learning:
        """Note the curve, and whether its end was dear."""
        learnt = yield from zeus.learn(job, ended)
        known = of(job)
        job = noted(learnt.job, running=known["running"] - 1, learnt=[*known["learnt"], ended.curve])
        is_dear = ended.energy is not None and ended.energy > DEAR
        drift = Drift(ended.batch_size, 1.0, 2.0) if is_dear else None
        return Learnt(job, learnt.arms, drift=drift)

    def started_over(self, job: Job, batch_sizes: Sequence[int]) -> Job:
        """Note it, and that no trial that counts runs."""
        return noted(zeus.started_over(job, batch_sizes), running=0, resets=of(job)["resets"] + 1)


def of(job: Job) -> dict[str, Any]:
    """Return what is noted."""
    known: dict[str, Any] = json.loads(job.knowledge or "{}")
    return known


def noted(job: Job, **what: object) -> Job:
    """Note something."""
    return replace(job, knowledge=json.dumps({**of(job), **what}))


@contextmanager
def kept() -> Iterator[None]:
    """Let this be the policy ``frugal``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(policies.POLICIES, Policy.FRUGAL, Keeping())
        yield
