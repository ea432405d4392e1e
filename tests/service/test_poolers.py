"""Postgres stands behind a pooler: what was acknowledged is there, once."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from benchmarks.audit import audit
from benchmarks.load import run_load
from benchmarks.pgbouncer import find_pgbouncer, running_pgbouncer
from benchmarks.postgres import Postgres
from benchmarks.server import ServerFailed, running_server
from tests.skips import skip_without


def test_the_service_works_through_a_pooler_of_transactions(
    postgres: Postgres, new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    try:
        find_pgbouncer()
    except ServerFailed as failure:
        skip_without(str(failure))
    log = tmp_path / "acks.jsonl"
    url = new_postgres_url()
    with running_pgbouncer(postgres) as pooler, running_server(pooler.url(url.rpartition("/")[2])) as server:
        result = asyncio.run(run_load(server.url, connections=16, jobs=4, seconds=2, warmup=0, ack_log=log))
        assert {name: endpoint.errors for name, endpoint in result.endpoints.items() if endpoint.errors} == {}
        assert result.total.requests > 100
    assert audit(url, log).faults == []
