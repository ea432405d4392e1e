"""Random sequences of valid and invalid requests, each answer held against the model of the protocol.

After a refused request every table is as it was; after each sequence the tables say what the model says.
"""

import json
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.fuzz.counts import Counts
from tests.fuzz.material import (
    GOOD,
    LETTERS,
    MEASUREMENTS,
    NAMES,
    NO_BODY,
    SPECIFICATIONS,
    STRAY,
    TAKES_BODY,
    WRONG,
)
from tests.fuzz.protocol import REQUIRED, Body, Dispatch, Refusal
from tests.fuzz.talker import Talker, check
from tests.service.tables import Tables

STEPS = 40
"""Of a sequence."""
METRICS = st.lists(st.sampled_from([0.75, 0.5, 0.25]), max_size=16)


class Machine(Talker, RuleBasedStateMachine):
    """What may happen; the server's part is set by ``drive``."""

    trials = Bundle("trials")

    def teardown(self) -> None:
        """Compare the tables with the model."""
        self.finish()

    @initialize(body=SPECIFICATIONS, metrics=METRICS, energy=st.integers(1, 5))
    def begin(self, body: Body, metrics: list[float], energy: int) -> None:
        """Register a first job, and let it get far or not."""
        self.register("a", body)
        self.train("a", metrics, energy)

    @rule(name=NAMES, body=SPECIFICATIONS)
    def register(self, name: str, body: Body) -> None:
        """Register a job, which may be there with the same or another specification."""
        body |= {"job_id": self.job(name)}
        self.expect(self.protocol.register(body), "POST", "/jobs", body)

    @rule(
        name=NAMES,
        change=SPECIFICATIONS,
        changed=st.sets(st.sampled_from(["max_epochs", "eta_knob", "mab_seed"])),
    )
    def register_again(self, name: str, change: Body, changed: set[str]) -> None:
        """Register a job once more: equally, or with a few members changed."""
        job = self.protocol.jobs.get(self.job(name))
        if job is not None:
            body = job.specification | {member: change[member] for member in changed & change.keys()}
            body["batch_sizes"] = body["batch_sizes"][::-1]
            self.expect(self.protocol.register(body), "POST", "/jobs", body)

    @rule(body=SPECIFICATIONS)
    def register_unnamed(self, body: Body) -> None:
        """Register a job without a name, find it under the name it got, and delete it."""
        answer = self.ask(201, "POST", "/jobs", body)
        name = answer.json()["job_id"]
        assert name.startswith(f"{body['job_id_prefix']}-")
        assert len(name) == len(body["job_id_prefix"]) + 9
        self.protocol.register(body | {"job_id": name})
        self.expect(self.protocol.register(body | {"job_id": name}), "POST", "/jobs", body | {"job_id": name})
        self.expect(self.protocol.delete(name), "DELETE", f"/jobs?job_id={name}")

    @rule(target=trials, name=NAMES, times=st.integers(1, 3))
    def suggest(self, name: str, times: int) -> Any:  # noqa: ANN401  (what Hypothesis takes for several)
        """Ask for trials, so that some run beside others."""
        return multiple(*filter(None, [self.dispatch(self.job(name)) for _ in range(times)]))

    @rule(trial=trials, said=MEASUREMENTS)
    def report(self, trial: Body, said: Body) -> None:
        """Report an epoch of a trial, which may be over, or gone."""
        self.expect(self.protocol.report(trial | said), "POST", "/report", trial | said)

    @rule(
        trial=trials,
        said=MEASUREMENTS,
        change=st.sampled_from([("batch_size", 7), ("trial_number", 99), ("job_id", "x")]),
    )
    def name_another(self, trial: Body, said: Body, change: tuple[str, Any]) -> None:
        """Report and end a trial that was never dispatched."""
        body = trial | said | dict([change])
        self.expect(self.protocol.report(body), "POST", "/report", body)
        self.expect(self.protocol.end(body), "PATCH", "/trials", body)

    @rule(trial=trials)
    def end(self, trial: Body) -> None:
        """End a trial, which may be over, or gone."""
        self.expect(self.protocol.end(trial), "PATCH", "/trials", trial)

    @rule(name=NAMES, metrics=METRICS, energy=st.integers(1, 5))
    def train(self, name: str, metrics: list[float], energy: int) -> None:
        """Run trainings one after the other, so that sequences come to the bandit."""
        for number, metric in enumerate(metrics):
            trial = self.dispatch(self.job(name))
            if trial is not None:
                body = trial | GOOD | {"metric": metric, "energy": 1000.0 * ((energy * (number + 1)) % 7 + 1)}
                self.expect(self.protocol.report(body), "POST", "/report", body)
                self.expect(self.protocol.end(trial), "PATCH", "/trials", trial)

    @precondition(lambda self: len(self.protocol.jobs) > 1)
    @rule(name=st.sampled_from(LETTERS))
    def delete(self, name: str) -> None:
        """Delete a job, which may not be there, but never the last one."""
        self.expect(self.protocol.delete(self.job(name)), "DELETE", f"/jobs?job_id={self.job(name)}")

    @rule(target=trials, names=st.lists(NAMES | st.sampled_from(["nobody", "", 7, None, ["a"]]), max_size=6))
    def suggest_in_bulk(self, names: list[Any]) -> Any:  # noqa: ANN401
        """Ask for trials of many jobs, some of which cannot be."""
        names = [self.job(name) if name in LETTERS else name for name in names]
        wanted = [
            self.protocol.suggest(name) if is_name(name) else Refusal(422, "invalid-request")
            for name in names
        ]
        answers = self.bulk("/api/v1/suggestions", {"job_ids": names}, "suggestions", wanted)
        return multiple(
            *(self.taken(w, a) for w, a in zip(wanted, answers, strict=True) if isinstance(w, Dispatch))
        )

    @rule(
        said=st.lists(
            st.tuples(trials, MEASUREMENTS) | st.sampled_from([None, 7, {}, {"job_id": "job-a"}]), max_size=5
        )
    )
    def report_in_bulk(self, said: list[Any]) -> None:
        """Send many reports, some of which cannot be."""
        items = [item[0] | item[1] if isinstance(item, tuple) else item for item in said]
        wanted = [
            self.protocol.report(item) if isinstance(origin, tuple) else Refusal(422, "invalid-request")
            for origin, item in zip(said, items, strict=True)
        ]
        for expected, answer in zip(
            wanted, self.bulk("/api/v1/reports", {"reports": items}, "verdicts", wanted), strict=True
        ):
            check(expected, answer)

    @rule(body=SPECIFICATIONS, said=MEASUREMENTS, data=st.data())
    def send_what_is_wrong(self, body: Body, said: Body, data: st.DataObject) -> None:
        """Send a body of which one member is missing or cannot be."""
        trial = {"job_id": self.job("a"), "batch_size": 8, "trial_number": 1}
        method, path, whole, required = data.draw(
            st.sampled_from(
                [
                    ("POST", "/jobs", body | {"job_id": self.job("a")}, body.keys() & set(REQUIRED)),
                    ("POST", "/report", trial | said, (trial | said).keys()),
                    ("PATCH", "/trials", trial, trial.keys()),
                ]
            )
        )
        member = data.draw(st.sampled_from(sorted(whole.keys() & WRONG.keys())))
        wrong = data.draw(st.sampled_from(WRONG[member]))
        is_left_out = member in required and data.draw(st.booleans())
        sent = (
            {name: value for name, value in whole.items() if name != member}
            if is_left_out
            else whole | {member: wrong}
        )
        self.expect(Refusal(422, "invalid-request"), method, path, sent)

    @rule(call=st.sampled_from(TAKES_BODY), body=st.sampled_from(NO_BODY))
    def send_no_body_of_the_call(self, call: tuple[str, str], body: bytes) -> None:
        """Send what is no JSON, or no object of the call."""
        self.expect(Refusal(422, "invalid-request"), *call, body)

    @rule(
        call=st.sampled_from(TAKES_BODY),
        trial=trials,
        kind=st.sampled_from(["text/plain", "application/xml", "json"]),
    )
    def send_another_type(self, call: tuple[str, str], trial: Body, kind: str) -> None:
        """Send a body that says it is something else."""
        self.expect(Refusal(422, "invalid-request"), *call, trial, {"content-type": kind})

    @rule(call=st.sampled_from(TAKES_BODY), name=NAMES)
    def send_too_much(self, call: tuple[str, str], name: str) -> None:
        """Send a body past the limit."""
        self.expect(
            Refusal(413, "body-too-large"),
            *call,
            json.dumps({"job_id": self.job(name)}).encode() + b" " * (1 << 20),
        )

    @rule(stray=st.sampled_from(STRAY))
    def stray(self, stray: tuple[int, str, str]) -> None:
        """Call what is not there, or not so."""
        self.ask(*stray)


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
