"""The load generator, against a server that does as it is told."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import load
from benchmarks.load import LoadFailed, run_load
from benchmarks.tally import Result
from benchmarks.worker import FINISH, REPORT, SUGGEST

DROP = 0
SILENCE = -1
"""What a stand-in may do instead of answering with a status."""

Behaviour = Callable[[str, int], int]


class StandIn:
    """A server that knows nothing: it answers the n-th request to an endpoint as its behaviour says.

    Args:
        behaviour: Takes an endpoint and n, counted from 1; gives a status, DROP or SILENCE.
    """

    def __init__(self, behaviour: Behaviour = lambda _, __: 200) -> None:
        self.behaviour = behaviour
        self.seen: Counter[str] = Counter()
        self.jobs: Counter[str] = Counter()
        self.suggestion: dict[str, object] = {"batch_size": 64}

    async def load(
        self, connections: int, jobs: int, seconds: float, warmup: float = 0, ack_log: Path | None = None
    ) -> Result:
        """Serve while a load runs."""
        server = await asyncio.get_running_loop().create_server(lambda: Visit(self), "127.0.0.1")
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await run_load(
                f"http://127.0.0.1:{port}",
                connections=connections,
                jobs=jobs,
                seconds=seconds,
                warmup=warmup,
                ack_log=ack_log,
            )


class Visit(asyncio.Protocol):
    """A connection to a stand-in."""

    def __init__(self, server: StandIn) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer; the generator's requests are small enough to arrive whole."""
        method, target, _ = data.decode().split(maxsplit=2)
        path, _, job_id = target.partition("?job_id=")
        endpoint = f"{method} {path}"
        self._server.seen[endpoint] += 1
        count = self._server.seen[endpoint]
        status = self._server.behaviour(endpoint, count)
        if status == DROP:
            self._transport.close()
        elif status != SILENCE:
            body = json.dumps(self._body(endpoint, job_id, count)).encode()
            self._transport.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)

    def _body(self, endpoint: str, job_id: str, count: int) -> dict[str, object]:
        """Return what the real server would say."""
        if endpoint == SUGGEST:
            self._server.jobs[job_id] += 1
            return {"job_id": job_id, "trial_number": count, **self._server.suggestion}
        return {"stop_train": True, "converged": True, "message": "Train succeeded"}


def every_third(status: int) -> Behaviour:
    """Give a behaviour that does this instead of answering well at every third suggestion."""
    return lambda endpoint, count: status if endpoint == SUGGEST and count % 3 == 0 else 200


def acks(log: Path) -> list[dict[str, object]]:
    """Read a log of acknowledgements."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_every_answer_is_counted_once() -> None:
    server = StandIn()
    result = asyncio.run(server.load(connections=4, jobs=2, seconds=0.3))
    for endpoint in (SUGGEST, REPORT, FINISH):
        counted = result.endpoints[endpoint]
        # What is under way when the time is up is answered, but too late to count.
        assert 0 < server.seen[endpoint] - 4 <= counted.requests <= server.seen[endpoint]
        assert counted.errors == {}
        assert counted.per_second == pytest.approx(counted.requests / result.seconds, abs=0.1)
    assert result.total.requests == sum(endpoint.requests for endpoint in result.endpoints.values())


def test_connections_share_the_jobs() -> None:
    server = StandIn()
    asyncio.run(server.load(connections=5, jobs=3, seconds=0.2))
    assert server.seen["POST /jobs"] == 3
    assert len(server.jobs) == 3


def test_warm_up_is_not_measured() -> None:
    server = StandIn()
    result = asyncio.run(server.load(connections=1, jobs=1, seconds=0.2, warmup=0.4))
    assert result.seconds == pytest.approx(0.2, abs=0.01)
    assert result.endpoints[SUGGEST].requests < 0.7 * server.seen[SUGGEST]


def test_percentiles_are_in_order_and_in_milliseconds() -> None:
    total = asyncio.run(StandIn().load(connections=2, jobs=2, seconds=0.2)).total
    assert total.p50 is not None
    assert total.p95 is not None
    assert total.p99 is not None
    assert 0 < total.p50 <= total.p95 <= total.p99 < 200
    # With two requests under way all the time, half of them took about 2 / rate seconds.
    assert total.p50 == pytest.approx(2000 / total.per_second, rel=0.9)


def test_refusals_are_counted_by_status() -> None:
    server = StandIn(every_third(503))
    result = asyncio.run(server.load(connections=2, jobs=2, seconds=0.3))
    assert result.endpoints[SUGGEST].errors == {"503": server.seen[SUGGEST] // 3}
    assert result.endpoints[REPORT].errors == {}
    assert result.total.errors == result.endpoints[SUGGEST].errors


def test_dropped_connections_are_counted_and_made_again() -> None:
    server = StandIn(every_third(DROP))
    result = asyncio.run(server.load(connections=2, jobs=2, seconds=0.3))
    dropped = result.endpoints[SUGGEST].errors["dropped"]
    assert dropped == server.seen[SUGGEST] // 3 > 1
    assert result.endpoints[REPORT].requests > dropped


def test_a_success_with_the_wrong_body_is_counted() -> None:
    server = StandIn()
    server.suggestion = {"batch_size": "large"}
    result = asyncio.run(server.load(connections=1, jobs=1, seconds=0.1))
    assert result.endpoints[SUGGEST].errors == {"malformed": server.seen[SUGGEST]}


def test_silence_ends_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "GRACE", 0.1)
    server = StandIn(lambda endpoint, _: SILENCE if endpoint == REPORT else 200)
    result = asyncio.run(server.load(connections=3, jobs=3, seconds=0.2))
    assert result.endpoints[REPORT].errors == {"unanswered": 3}


def test_a_server_that_refuses_jobs_ends_the_load() -> None:
    with pytest.raises(LoadFailed, match="refused a job: 422"):
        asyncio.run(StandIn(lambda _, __: 422).load(connections=1, jobs=1, seconds=1))


def test_a_server_that_is_not_there_ends_the_load() -> None:
    with pytest.raises(LoadFailed, match=r"http://127\.0\.0\.1:1 cannot be reached"):
        asyncio.run(run_load("http://127.0.0.1:1"))


def test_what_was_acknowledged_is_logged(tmp_path: Path) -> None:
    log = tmp_path / "acks"
    server = StandIn(every_third(503))
    asyncio.run(server.load(connections=2, jobs=1, seconds=0.2, ack_log=log))
    lines = acks(log)
    suggested = [line["trial_number"] for line in lines if line["ack"] == "suggested"]
    assert Counter(suggested) == Counter(n for n in range(1, server.seen[SUGGEST] + 1) if n % 3)
    assert [line["trial_number"] for line in lines if line["ack"] == "converged"]
    assert {line["batch_size"] for line in lines} == {64}
    assert {line["job_id"] for line in lines} == set(server.jobs)


def test_a_log_is_appended_to(tmp_path: Path) -> None:
    log = tmp_path / "acks"
    log.write_text('{"ack":"earlier"}\n')
    asyncio.run(StandIn().load(connections=1, jobs=1, seconds=0.1, ack_log=log))
    assert acks(log)[0] == {"ack": "earlier"}
    assert len(acks(log)) > 1
