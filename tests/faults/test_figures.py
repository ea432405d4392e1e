"""A Postgres dies: the figures and the log of several workers go on."""

import json
from pathlib import Path

import httpx

from benchmarks.postgres import create_database, kill
from benchmarks.server import stop
from tests.faults.harness import Mortal, Service, serving, wait_until
from tests.service.talk import Api
from tests.service.test_metrics import figure

CONVERGED = 'batchbandit_trials_ended_total{outcome="converged"}'


def test_figures_are_given_while_the_database_is_away_and_every_line_of_the_log_is_json(
    mortal: Mortal, tmp_path: Path
) -> None:
    url = create_database(mortal.postgres, "figures")
    service = Service(tmp_path, url, BATCHBANDIT_WORKERS="2", BATCHBANDIT_LOG_FORMAT="json")
    with serving(service), httpx.Client(base_url=service.url, timeout=30, trust_env=False) as http:

        def wait_until_it_is(up: int) -> None:
            wait_until(lambda: figure(http, "batchbandit_database_up") == up, f"figures of a database {up}")

        Api(http).run(Api(http).register()["job_id"])
        wait_until_it_is(1)
        assert figure(http, 'batchbandit_jobs{stage="Pruning"}') == 2, "however many workers there are"
        wait_until(lambda: figure(http, CONVERGED) == 1, "the trial's figure")
        kill(mortal.postgres)
        wait_until_it_is(0)
        assert figure(http, "batchbandit_jobs") is None
        assert figure(http, CONVERGED) == 1
        mortal.restart()
        wait_until_it_is(1)
        stop(service.child)
    lines = [json.loads(line) for line in service.child.log.read_text().splitlines()]
    assert len({line["process"] for line in lines}) == 3, "the workers', and that which started them"
