"""Requests that are wrong in one way."""

import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, rule

from tests.fuzz.material import MEASUREMENTS, NAMES, NO_BODY, NO_KEY, SPECIFICATIONS, STRAY, TAKES_BODY, WRONG
from tests.fuzz.outcomes import Body, Refusal
from tests.fuzz.protocol import REQUIRED
from tests.fuzz.talker import Talker

TRIALS: Bundle[Body] = Bundle("trials")


class Mistakes(Talker):
    """What may be asked and is refused, whatever has happened before."""

    @rule(
        trial=TRIALS,
        said=MEASUREMENTS,
        change=st.sampled_from([("batch_size", 7), ("trial_number", 99), ("job_id", "x")]),
    )
    def name_another(self, trial: Body, said: Body, change: tuple[str, Any]) -> None:
        """Report and end a trial that was never dispatched."""
        body = trial | said | dict([change])
        self.expect(self.protocol.report(body), "POST", "/report", body)
        self.expect(self.protocol.end(body), "PATCH", "/trials", body)
        if body["batch_size"] == trial["batch_size"]:  # it is not named in a heartbeat
            self.beat(body["job_id"], body["trial_number"])

    @rule(body=SPECIFICATIONS, said=MEASUREMENTS, data=st.data())
    def send_what_is_wrong(self, body: Body, said: Body, data: st.DataObject) -> None:
        """Send a body of which one member is missing or cannot be."""
        trial = {"job_id": self.job("a"), "batch_size": 8, "trial_number": 1}
        method, path, whole, required = data.draw(
            st.sampled_from(
                [
                    ("POST", "/jobs", body | {"job_id": self.job("a")}, body.keys() & set(REQUIRED)),
                    ("POST", "/report", trial | said, (trial | said).keys()),
                    ("PATCH", "/trials", trial | {"reason": "x"}, trial.keys()),
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
        trial=TRIALS,
        kind=st.sampled_from(["text/plain", "application/xml", "json"]),
    )
    def send_another_type(self, call: tuple[str, str], trial: Body, kind: str) -> None:
        """Send a body that says it is something else."""
        self.expect(Refusal(422, "invalid-request"), *call, trial, {"content-type": kind})

    @rule(name=NAMES, key=st.sampled_from(NO_KEY))
    def send_no_key(self, name: str, key: str) -> None:
        """Send a key that cannot be one."""
        header = [(b"idempotency-key", key.encode("latin-1"))]
        path = f"/jobs/batch_size?job_id={self.job(name)}"
        self.expect(Refusal(422, "invalid-request"), "GET", path, headers=header)

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
