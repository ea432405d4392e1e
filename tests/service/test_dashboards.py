"""The dashboard and the alerts ask for what the service gives: a server that has worked says so."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.parser import text_string_to_metric_families
from promql_parser import AggregateExpr, Expr, MatchOp, VectorSelector

from benchmarks.server import Child, Server, free_port, launch, running_server
from tests.conftest import ROOT
from tests.service.talk import Api
from tests.skips import skip_without

DASHBOARD = ROOT / "deploy" / "grafana" / "batchbandit.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
BOARD = json.loads(DASHBOARD.read_text())
RULES = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]

SCRAPE = {"job", "instance"}
"""The labels that Prometheus adds."""
VARIABLES = {"$__rate_interval": "1m", "$__range": "1m", "$job": "batchbandit", "$instance": ".*"}

Labels = dict[str, dict[str, set[str]]]
"""By metric, by label, the values that it has."""


def filled(query: str) -> str:
    """Return a query as Grafana sends it."""
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return query


def targets() -> list[tuple[str, dict[str, Any]]]:
    """Return what the panels ask for, with their titles."""
    return [(panel["title"], target) for panel in BOARD["panels"] for target in panel.get("targets", ())]


QUERIES = [filled(target["expr"]) for _, target in targets()] + [rule["expr"] for rule in RULES]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a server of these tests' own."""
    with running_server() as running:
        yield running


def work(server: Server) -> None:
    """Let a server see a little of everything."""
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as http:
        api = Api(http)
        saving = api.register()["job_id"]
        api.to_bandit(saving, {8: 9_000.0, 16: 20_000.0, 32: 30_000.0})
        for _ in range(6):
            api.run(saving)
        failing = api.register(max_failures=1)["job_id"]
        api.end(api.trial(failing))
        api.run(failing, metric=0.1, current_epoch=10)
        silent = api.trial(api.register(lease_seconds=0.1)["job_id"])
        path = f"/api/v1/jobs/{silent['job_id']}/trials/{silent['trial_number']}/heartbeat"
        assert http.put(path).is_success
        time.sleep(0.2)
        assert "late" in api.report(silent).json()["message"]
        assert api.suggest("nobody").status_code == 400


@pytest.fixture(scope="module")
def given(server: Server) -> Labels:
    """Return what a server that has worked gives."""
    work(server)
    text = httpx.get(f"{server.url}/metrics", trust_env=False).text
    labels: Labels = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            of_metric = labels.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                of_metric.setdefault(name, set()).add(value)
    return labels


def selectors(expression: Expr) -> list[VectorSelector]:
    """Return what an expression selects."""
    found: list[VectorSelector] = []

    def keep(part: Expr) -> None:
        if isinstance(part, VectorSelector):
            found.append(part)

    promql_parser.walk(expression, keep)
    return found


def groupings(expression: Expr) -> list[AggregateExpr]:
    """Return what an expression groups."""
    found: list[AggregateExpr] = []

    def keep(part: Expr) -> None:
        if isinstance(part, AggregateExpr):
            found.append(part)

    promql_parser.walk(expression, keep)
    return found


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_metrics_and_labels_that_there_are(query: str, given: Labels) -> None:
    expression = promql_parser.parse(query)
    for selector in selectors(expression):
        assert selector.name in given
        of_metric = given[str(selector.name)]
        for matcher in selector.matchers.matchers:
            assert matcher.name in SCRAPE | set(of_metric)
            if matcher.op == MatchOp.Equal and matcher.name not in SCRAPE:
                assert matcher.value in of_metric[matcher.name]
    for grouping in groupings(expression):
        for label in grouping.modifier.labels if grouping.modifier else ():
            assert label in SCRAPE or all(label in given[str(one.name)] for one in selectors(grouping.expr))


def test_every_metric_of_the_service_is_on_the_dashboard(given: Labels) -> None:
    asked = {str(one.name) for query in QUERIES for one in selectors(promql_parser.parse(query))}
    families = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in asked}
    served = {re.sub(r"_(total|bucket|count|sum|created)$", "", n) for n in given if n.startswith("batchb")}
    assert served == families


def test_grafana_knows_every_member_of_the_dashboard() -> None:
    """Its own types drop what they do not know."""
    register_default_plugins()
    read = json.loads(json.dumps(Dashboard.from_json(BOARD), cls=JSONEncoder))
    assert lost(BOARD, read) == []


def lost(written: Any, read: Any, path: str = "") -> list[str]:  # noqa: ANN401  (JSON)
    """Return where something that was written has not been read."""
    if isinstance(written, dict):
        return [
            name
            for key, value in written.items()
            for name in (lost(value, read[key], f"{path}/{key}") if key in read else [f"{path}/{key}"])
        ]
    if isinstance(written, list) and len(written) == len(read):
        return [
            name
            for i, (one, other) in enumerate(zip(written, read, strict=True))
            for name in lost(one, other, f"{path}/{i}")
        ]
    return [] if written == read else [path]


def test_panels_have_names_of_their_own_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in BOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


class Scraped(Child, frozen=True):
    """A Prometheus, and the moment that questions are about."""

    moment: float


@pytest.fixture(scope="module")
def prometheus(server: Server, given: Labels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """Return a Prometheus that has scraped the server while it worked."""
    assert given
    program = shutil.which("prometheus")
    if program is None:
        skip_without("Prometheus is not installed: apt install prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "alerts.yaml").write_text(ALERTS.read_text())
    scraped = {
        "job_name": "batchbandit",
        "scrape_interval": "500ms",
        "scrape_timeout": "500ms",
        "static_configs": [{"targets": [server.url.removeprefix("http://")]}],
    }
    configuration = {"rule_files": ["alerts.yaml"], "scrape_configs": [scraped]}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    port = free_port()
    command = [
        program,
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    child = launch(command, port, folder / "prometheus.log", health="/-/ready")
    try:
        until_scraped(child, 1)
        work(server)
        until_scraped(child, 3)
        yield Scraped(child.url, child.process, child.log, time.time())
    finally:
        child.process.kill()  # there is nothing to keep
        child.process.wait()


def until_scraped(prometheus: Child, times: int) -> None:
    """Wait until there have been so many scrapes from now on."""
    deadline = time.monotonic() + 20
    scrapes = "sum(count_over_time(up[10m])) or vector(0)"
    before = value_of(prometheus, scrapes)
    while value_of(prometheus, scrapes) < before + times:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def ask(prometheus: Child, query: str) -> list[dict[str, Any]]:
    """Return what a query gives."""
    asked: dict[str, str | float] = {"query": query}
    if isinstance(prometheus, Scraped):
        asked["time"] = prometheus.moment
    answer = httpx.get(f"{prometheus.url}/api/v1/query", params=asked, trust_env=False, timeout=30)
    assert answer.is_success, answer.text
    return list(answer.json()["data"]["result"])


def value_of(prometheus: Child, query: str) -> float:
    """Return the one value that a query gives."""
    [sample] = ask(prometheus, query)
    return float(sample["value"][1])


@pytest.mark.parametrize(
    ("title", "target"), targets(), ids=[f"{title}: {target['refId']}" for title, target in targets()]
)
def test_prometheus_answers_what_a_panel_asks(title: str, target: dict[str, Any], prometheus: Child) -> None:
    found = ask(prometheus, filled(target["expr"]))
    assert found, title
    assert any(sample["value"][1] not in {"NaN", "+Inf", "-Inf"} for sample in found), title
    shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
    assert title.startswith("Requests that the service failed") or all(
        shown <= set(sample["metric"]) for sample in found
    )


def test_prometheus_sees_what_was_saved_and_how_trials_ended(prometheus: Child) -> None:
    assert value_of(prometheus, "sum(batchbandit_jobs)") >= 3
    assert value_of(prometheus, "batchbandit_database_up") == 1
    assert value_of(prometheus, "batchbandit_saved_joules_total") > 0
    assert value_of(prometheus, "batchbandit_lost_joules_total") > 0
    assert value_of(prometheus, "batchbandit_leases_expired_total") == 2
    assert value_of(prometheus, 'batchbandit_trials_ended_total{outcome="late_converged"}') == 2
    assert value_of(prometheus, "batchbandit_batch_sizes_set_aside_total") == 2
    assert value_of(prometheus, 'batchbandit_refused_requests_total{problem="unknown-job"}') == 2


def promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Prometheus' tool."""
    program = shutil.which("promtool")
    if program is None:
        skip_without("promtool is not installed: apt install prometheus")
    return subprocess.run(
        [program, *arguments], cwd=folder, check=False, capture_output=True, text=True, timeout=60
    )


def test_prometheus_takes_the_alerts(tmp_path: Path) -> None:
    checked = promtool(tmp_path, "check", "rules", str(ALERTS))
    assert checked.returncode == 0, checked.stderr
    assert f"{len(RULES)} rules found" in checked.stdout


JOB = 'job="b",instance="i"'
UNWELL = {
    "BatchbanditDatabaseAway": {f"batchbandit_database_up{{{JOB}}}": "0x3000"},
    "BatchbanditAbsent": {},
    "BatchbanditFailsRequests": {
        f'batchbandit_requests_total{{{JOB},status="503"}}': "0+5x3000",
        f'batchbandit_requests_total{{{JOB},status="200"}}': "0+95x3000",
    },
    "BatchbanditQueues": {
        f'batchbandit_commit_wait_seconds_bucket{{{JOB},le="1"}}': "0+1x3000",
        f'batchbandit_commit_wait_seconds_bucket{{{JOB},le="10"}}': "0+9x3000",
        f'batchbandit_commit_wait_seconds_bucket{{{JOB},le="+Inf"}}': "0+9x3000",
    },
    "BatchbanditTransactionsRepeat": {
        f"batchbandit_transaction_retries_total{{{JOB}}}": "0+3x3000",
        f"batchbandit_transaction_seconds_count{{{JOB}}}": "0+10x3000",
    },
    "BatchbanditTrialsFail": {
        f'batchbandit_trials_ended_total{{{JOB},outcome="failed"}}': "0+2x3000",
        f'batchbandit_trials_ended_total{{{JOB},outcome="converged"}}': "0+1x3000",
    },
    "BatchbanditLosesEnergy": {
        f"batchbandit_lost_joules_total{{{JOB}}}": "0+3x3000",
        f"batchbandit_saved_joules_total{{{JOB}}}": "0+2x3000",
    },
}
"""By alert, what a service gives that is not well, minute by minute."""
LASTING = {"BatchbanditLosesEnergy": "1500m"}
"""By alert, after how long it fires, where an hour is not enough."""


def test_every_alert_fires_when_it_should_and_no_other(tmp_path: Path) -> None:
    assert set(UNWELL) == {rule["alert"] for rule in RULES}
    well = {f"batchbandit_database_up{{{JOB}}}": "1x3000"}
    tests = [
        {
            "interval": "1m",
            "input_series": [
                {"series": series, "values": values}
                for series, values in ({} if alert == "BatchbanditAbsent" else well | ill).items()
            ],
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": LASTING.get(alert, "60m"),
                    "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1}],
                }
            ],
        }
        for alert, ill in UNWELL.items()
    ]
    written = {"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(written))
    tested = promtool(tmp_path, "test", "rules", "tests.yaml")
    assert tested.returncode == 0, tested.stdout + tested.stderr
