"""Requests that are wrong in one way."""

import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, rule

from tests.fuzz.material import BEGIN, MEASUREMENTS, NO_BODY, NO_KEY, SPECIFICATIONS, STRAY, TAKES_BODY, WRONG
from tests.fuzz.outcomes import Body, Refusal
from tests.fuzz.protocol import REQUIRED
from tests.fuzz.talker import Talker

INVALID = Refusal(422, "invalid-request")
TRIALS: Bundle[Body] = Bundle("trials")


class Mistakes(Talker):
    """What may be asked and is refused, whatever has happened before."""

    @rule(
        trial=TRIALS,
        said=MEASUREMENTS,
        change=st.sampled_from([("batch_size", 7), ("trial_number", 99), ("job_id", "x")]),
    )
    def name_another(self, trial: Body, said: Body, change: tuple[str, Any]) -> None:
        """Report, end and keep a trial that was never dispatched."""
        body = trial | said | dict([change])
        self.expect(self.protocol.report(body), "POST", "/report", body)
        self.expect(self.protocol.end(body), "PATCH", "/trials", body)
        if body["batch_size"] == trial["batch_size"]:  # it is not named in a heartbeat
            self.beat(body["job_id"], body["trial_number"])

    @rule(data=st.data())
    def mistake(self, data: st.DataObject) -> None:
        """Send what is wrong, in one rule so that most of a sequence goes on."""
        data.draw(
            st.sampled_from([self.bad_member, self.bad_body, self.bad_header, self.too_much, self.stray])
        )(data)

    def bad_member(self, data: st.DataObject) -> None:
        """Send a body of which one member is missing or cannot be."""
        trial = {"job_id": self.job("a"), "batch_size": 8, "trial_number": 1}
        registered = data.draw(SPECIFICATIONS) | {"job_id": self.job("a")}
        said = trial | data.draw(MEASUREMENTS)
        method, path, whole, required = data.draw(
            st.sampled_from(
                [
                    ("POST", "/jobs", registered, registered.keys() & set(REQUIRED)),
                    ("POST", "/report", said, said.keys()),
                    ("PATCH", "/trials", trial | {"reason": "x"}, trial.keys()),
                    ("POST", BEGIN, {"batch_size": 8}, {"batch_size"}),
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
        self.expect(INVALID, method, path, sent)

    def bad_body(self, data: st.DataObject) -> None:
        """Send what is no JSON, or no object of the call."""
        self.expect(INVALID, *data.draw(st.sampled_from(TAKES_BODY)), data.draw(st.sampled_from(NO_BODY)))

    def bad_header(self, data: st.DataObject) -> None:
        """Send a body that says it is something else, or a key that cannot be one."""
        kind = data.draw(st.sampled_from(["text/plain", "application/xml", "json"]))
        body = {"job_id": self.job("a")}
        self.expect(INVALID, *data.draw(st.sampled_from(TAKES_BODY)), body, {"content-type": kind})
        key = [(b"idempotency-key", data.draw(st.sampled_from(NO_KEY)).encode("latin-1"))]
        self.expect(INVALID, "GET", f"/jobs/batch_size?job_id={self.job('a')}", headers=key)

    def too_much(self, data: st.DataObject) -> None:
        """Send a body past the limit."""
        body = json.dumps({"job_id": self.job("a")}).encode() + b" " * (1 << 20)
        self.expect(Refusal(413, "body-too-large"), *data.draw(st.sampled_from(TAKES_BODY)), body)

    def stray(self, data: st.DataObject) -> None:
        """Call what is not there, or not so."""
        self.ask(*data.draw(st.sampled_from(STRAY)))
