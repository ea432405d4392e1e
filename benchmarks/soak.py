"""Many clients on two jobs at several replicas of one Postgres, for long; then an audit.

Exits with 1 where anything is lost, doubled or forgotten.
"""

import argparse
import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from benchmarks.audit import Audit, audit
from benchmarks.load import LoadFailed, job_body, run_load
from benchmarks.postgres import create_database, running_postgres
from benchmarks.server import ServerFailed, running_server, stop_when_terminated
from benchmarks.tally import Result

HOT_JOBS = ("hot-1", "hot-2")


def register_hot(url: str) -> None:
    """Register the jobs: straight to the bandit, so that every result refits its arm."""
    for job_id in HOT_JOBS:
        body = job_body(job_id, batch_sizes=[8, 64], default_batch_size=8, num_pruning_rounds=0)
        httpx.post(f"{url}/jobs", json=body, trust_env=False).raise_for_status()


def put_under_load(urls: list[str], log: Path, clients: int, seconds: float) -> Result:
    """Let clients train the hot jobs, in turn at replicas; acknowledgements go to a log."""
    register_hot(urls[0])
    load = run_load(*urls, connections=clients, job_ids=HOT_JOBS, seconds=seconds, warmup=0, ack_log=log)
    return asyncio.run(load)


def soak(replicas: int, clients: int, seconds: float) -> tuple[Result, Audit]:
    """Run it, on a Postgres of its own."""
    with running_postgres() as postgres, TemporaryDirectory(prefix="batchbandit-") as folder:
        url, log = create_database(postgres, "soak"), Path(folder) / "acknowledgements"
        with ExitStack() as running:
            urls = [running.enter_context(running_server(url)).url for _ in range(replicas)]
            result = put_under_load(urls, log, clients, seconds)
        return result, audit(url, log, count_arms=True)


def main() -> None:
    """Run it and say what came of it."""
    stop_when_terminated()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=300.0)
    options = parser.parse_args()
    try:
        result, found = soak(options.replicas, options.clients, options.seconds)
    except (ServerFailed, LoadFailed) as failure:
        sys.exit(str(failure))
    refused = {name: one.errors for name, one in result.endpoints.items() if one.errors}
    counts = f"{len(found.lost)} lost, {len(found.doubled)} doubled, {len(found.forgotten)} forgotten"
    print(
        f"{options.replicas} replicas, {options.clients} clients on {len(HOT_JOBS)} jobs, "
        f"{result.seconds:.0f} s: {result.total.per_second:,.0f} requests/s, {found.acknowledged:,} "
        f"acknowledged, {counts}, refused: {refused or 'none'}"
    )
    if found.faults:
        sys.exit("\n".join(found.faults[:20]))


if __name__ == "__main__":
    main()
