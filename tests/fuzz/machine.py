"""Random sequences of valid and invalid requests, each answer held against the model of the protocol.

After a refused request every table is as it was; after each sequence the tables say what the model says.
"""

import math
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.fuzz.counts import Counts
from tests.fuzz.material import GOOD, KEYS, LETTERS, MEASUREMENTS, NAMES, REASONS, SIZES, SPECIFICATIONS
from tests.fuzz.mistakes import TRIALS, Mistakes
from tests.fuzz.outcomes import Body, Dispatch, Refusal
from tests.fuzz.protocol import NEW
from tests.fuzz.talker import check
from tests.service.tables import Tables

STEPS = 40
"""Of a sequence."""
METRICS = st.lists(st.sampled_from([0.5, 0.5, 0.5, 0.75, 0.25]), max_size=16)  # 0.5 is every target
TIMES = st.integers(1, 4)
TERMS = st.fixed_dictionaries(
    {},
    optional={
        "eta_knob": st.sampled_from([0.0, 0.5, 1.0]),
        "beta_knob": st.sampled_from([None, 1.0, 2.0]),
        "window_size": st.sampled_from([0, 1, 3]),
        "max_epochs": st.integers(1, 5),
    },
)


class Machine(Mistakes, RuleBasedStateMachine):
    """What may happen; the server's part is set by ``drive``."""

    def teardown(self) -> None:
        """Compare the tables with the model."""
        self.finish()

    @initialize(body=SPECIFICATIONS, metrics=METRICS, energy=st.integers(1, 5))
    def begin(self, body: Body, metrics: list[float], energy: int) -> None:
        """Register a first job, and let it get far or not."""
        self.register("a", body)
        self.train("a", metrics, energy)

    @rule(name=NAMES, body=SPECIFICATIONS, key=KEYS)
    def register(self, name: str, body: Body, key: str | None = None) -> None:
        """Register a job, which may be there with the same or another specification."""
        body |= {"job_id": self.job(name)}
        if not self.is_repeated(key, "POST", "/jobs", body):
            self.expect(self.protocol.register(body), "POST", "/jobs", body, key=key)

    @rule(
        name=NAMES,
        change=SPECIFICATIONS,
        changed=st.sets(st.sampled_from(["max_epochs", "eta_knob", "mab_seed", *NEW])),
        unnamed=st.sets(st.sampled_from([*NEW])),
    )
    def register_again(self, name: str, change: Body, changed: set[str], unnamed: set[str]) -> None:
        """Register a job once more: equally, or with a few members changed or not named."""
        job = self.protocol.jobs.get(self.job(name))
        if job is not None:
            body = {member: value for member, value in job.specification.items() if member not in unnamed}
            body |= {member: change[member] for member in changed & change.keys()}
            body["batch_sizes"] = body["batch_sizes"][::-1]
            self.expect(self.protocol.register(body), "POST", "/jobs", body)

    @rule(body=SPECIFICATIONS, key=KEYS)
    def register_unnamed(self, body: Body, key: str | None) -> None:
        """Register a job without a name, find it under the name it got, and delete it."""
        if self.is_repeated(key, "POST", "/jobs", body):
            return
        answer = self.ask(201, "POST", "/jobs", body, key=key)
        name = answer.json()["job_id"]
        assert name.startswith(f"{body['job_id_prefix']}-")
        assert len(name) == len(body["job_id_prefix"]) + 9
        self.protocol.register(body | {"job_id": name})
        self.expect(self.protocol.register(body | {"job_id": name}), "POST", "/jobs", body | {"job_id": name})
        self.expect(self.protocol.delete(name), "DELETE", f"/jobs?job_id={name}")

    @rule(target=TRIALS, name=NAMES, keys=st.lists(KEYS, min_size=1, max_size=3))
    def suggest(self, name: str, keys: list[str | None]) -> Any:  # noqa: ANN401  (what Hypothesis takes for several)
        """Ask for trials, so that some run beside others."""
        return multiple(*filter(None, [self.dispatch(self.job(name), key) for key in keys]))

    @rule(target=TRIALS, name=NAMES, sizes=st.lists(st.sampled_from(SIZES), min_size=1, max_size=2), key=KEYS)
    def begin_by_itself(self, name: str, sizes: list[int], key: str | None) -> Any:  # noqa: ANN401
        """Begin trials at batch sizes that trainings have chosen, some of which may not be the job's."""
        return multiple(*filter(None, [self.start(self.job(name), size, key) for size in sizes]))

    @rule(trial=TRIALS, said=MEASUREMENTS)
    def report(self, trial: Body, said: Body) -> None:
        """Report an epoch of a trial, which may be over, or gone."""
        self.expect(self.protocol.report(trial | said), "POST", "/report", trial | said)

    @rule(trial=TRIALS, reason=REASONS)
    def end(self, trial: Body, reason: Body) -> None:
        """End a trial, which may be over, or gone."""
        self.expect(self.protocol.end(trial | reason), "PATCH", "/trials", trial | reason)

    @rule(trial=TRIALS)
    def keep(self, trial: Body) -> None:
        """Send a heartbeat of a trial, which may be over, or gone."""
        self.beat(trial["job_id"], trial["trial_number"])

    @rule(name=NAMES, times=TIMES, reason=REASONS, was_heard=st.booleans())
    def lose(self, name: str, times: int, reason: Body, *, was_heard: bool) -> None:
        """Let trainings fail in a row, once or not at all heard of."""
        for _ in range(times):
            trial = self.dispatch(self.job(name))
            if trial is not None:
                if was_heard:
                    self.report(trial, GOOD | {"metric": math.nan, "current_epoch": 1})
                self.end(trial, reason)

    @rule(
        target=TRIALS,
        name=NAMES,
        kept=st.lists(st.booleans(), min_size=1, max_size=3),
        is_asked_again=st.booleans(),
        metric=st.sampled_from([0.5, 0.5, 0.25]),
        order=st.sampled_from([1, -1]),
    )
    def come_late(
        self, name: str, kept: list[bool], *, is_asked_again: bool, metric: float, order: int
    ) -> Any:  # noqa: ANN401
        """Let trainings send heartbeats and then report, late where the job's leases last no time."""
        started = [(self.dispatch(self.job(name)), is_kept) for is_kept in kept]
        trials = [trial for trial, _ in started if trial is not None]
        for trial, is_kept in started:
            if trial is not None and is_kept:
                self.keep(trial)
        if is_asked_again and (again := self.dispatch(self.job(name))) is not None:
            trials.append(again)
        for trial in trials[::order]:
            self.report(trial, GOOD | {"metric": metric})
        return multiple(*trials)

    @rule(name=NAMES, ended=st.lists(st.booleans(), min_size=1, max_size=3))
    def reset(self, name: str, ended: list[bool]) -> None:
        """Start a job over, if it is there, while trainings run that report afterwards or have failed."""
        started = [(self.dispatch(self.job(name)), is_ended) for is_ended in ended]
        for trial, is_ended in started:
            if trial is not None and is_ended:
                self.end(trial, {})
        self.expect(self.protocol.reset(self.job(name)), "POST", f"/api/v1/jobs/{self.job(name)}/reset")
        for trial, _ in started:
            if trial is not None:
                self.report(trial, GOOD | {"metric": 0.5})

    @rule(name=NAMES, terms=TERMS)
    def change(self, name: str, terms: Body) -> None:
        """Give a job other terms, if it is there."""
        job_id = self.job(name)
        self.expect(self.protocol.change(job_id, terms), "PATCH", f"/api/v1/jobs/{job_id}", terms)

    @rule(name=NAMES, is_paused=st.booleans())
    def pause(self, name: str, *, is_paused: bool) -> None:
        """Let a job explore nothing, or explore again."""
        job_id = self.job(name)
        call = f"/api/v1/jobs/{job_id}/{'pause' if is_paused else 'resume'}"
        self.expect(self.protocol.pause(job_id, is_paused=is_paused), "POST", call)

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Send a call that came with a key once more."""
        key = data.draw(st.sampled_from(sorted(self.calls)))
        assert self.is_repeated(key, *self.calls[key].request)

    @rule(name=NAMES, metrics=METRICS, energy=st.integers(1, 5))
    def train(self, name: str, metrics: list[float], energy: int) -> None:
        """Run trainings one after the other, so that sequences come to the bandit."""
        for number, metric in enumerate(metrics):
            trial = self.dispatch(self.job(name))
            if trial is not None:
                joules = 1000.0 * ((energy * (number + 1)) % 7 + 1)
                self.report(trial, GOOD | {"metric": metric, "energy": joules})
                self.end(trial, {})

    @precondition(lambda self: len(self.protocol.jobs) > 1)
    @rule(name=st.sampled_from(LETTERS))
    def delete(self, name: str) -> None:
        """Delete a job, which may not be there, but never the last one."""
        self.expect(self.protocol.delete(self.job(name)), "DELETE", f"/jobs?job_id={self.job(name)}")

    @rule(
        target=TRIALS,
        names=st.lists(NAMES | st.sampled_from(["nobody", "", 7, None, ["a"]]), max_size=6),
        key=KEYS,
    )
    def suggest_in_bulk(self, names: list[Any], key: str | None) -> Any:  # noqa: ANN401
        """Ask for trials of many jobs, some of which cannot be."""
        names = [self.job(name) if name in LETTERS else name for name in names]
        key = key if any(map(is_name, names)) else None  # where nothing can be done, none is kept
        if self.is_repeated(key, "POST", "/api/v1/suggestions", {"job_ids": names}):
            return multiple()
        wanted = [
            self.protocol.suggest(name) if is_name(name) else Refusal(422, "invalid-request")
            for name in names
        ]
        answers = self.bulk("/api/v1/suggestions", {"job_ids": names}, "suggestions", wanted, key)
        return multiple(
            *(self.taken(w, a) for w, a in zip(wanted, answers, strict=True) if isinstance(w, Dispatch))
        )

    @rule(
        said=st.lists(
            st.tuples(TRIALS, MEASUREMENTS) | st.sampled_from([None, 7, {}, {"job_id": "job-a"}]), max_size=5
        ),
        key=KEYS,
    )
    def report_in_bulk(self, said: list[Any], key: str | None) -> None:
        """Send many reports, some of which cannot be."""
        items = [item[0] | item[1] if isinstance(item, tuple) else item for item in said]
        key = key if any(isinstance(item, tuple) for item in said) else None
        if self.is_repeated(key, "POST", "/api/v1/reports", {"reports": items}):
            return
        wanted = [
            self.protocol.report(item) if isinstance(origin, tuple) else Refusal(422, "invalid-request")
            for origin, item in zip(said, items, strict=True)
        ]
        answers = self.bulk("/api/v1/reports", {"reports": items}, "verdicts", wanted, key)
        for expected, answer in zip(wanted, answers, strict=True):
            check(expected, answer)


def is_name(name: object) -> bool:
    """Tell whether a job can be called so."""
    return isinstance(name, str) and name != ""


def drive(client: httpx.Client, opened: Tables, counted: Counts, inputs: int) -> None:
    """Send at least so many requests to a server whose tables are open.

    Raises:
        AssertionError: An answer or a table is not what the model says; the shortest way there is printed.
    """

    class Bound(Machine):
        http, tables, counts = client, opened, counted

    most = counted.inputs + inputs
    while counted.inputs < most:
        sequences = settings(
            max_examples=max((most - counted.inputs) // (2 * STEPS), 1),
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        )
        run_state_machine_as_test(Bound, settings=sequences)
