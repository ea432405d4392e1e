"""Traces: a collector gets them as OTLP where the variables ask, and nothing is imported otherwise."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from benchmarks.server import Child, free_port, launch, stop
from service import tracing
from service.tracing import Tracing, exporters, tracing_wanted
from tests.service.talk import Api

PROGRAM = str(Path(sys.executable).parent / "batchbandit")
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Collector:
    """Takes spans as OTLP over HTTP has them."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, path: str, body: bytes) -> None:
        """Keep what was sent."""
        assert path == "/v1/traces"
        for sent in ExportTraceServiceRequest.FromString(body).resource_spans:
            attributes = {one.key: one.value.string_value for one in sent.resource.attributes}
            self.services.add(attributes["service.name"])
            self.spans += [span for scope in sent.scope_spans for span in scope.spans]

    def named(self, name: str, count: int = 1) -> list[Span]:
        """Wait for so many spans of a name, and return all of it."""
        deadline = time.monotonic() + 10
        while len(found := [span for span in self.spans if span.name == name]) < count:
            assert time.monotonic() < deadline, [span.name for span in self.spans]
            time.sleep(0.02)
        return found

    def close(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Return a collector."""
    with closing(Collector()) as running:
        yield running


def serve(folder: Path, url: str) -> Child:
    """Return a server that traces."""
    port = free_port()
    database = f"sqlite+aiosqlite:///{folder / 'batchbandit.db'}"
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    command = [PROGRAM, "serve", "--port", str(port), "--database-url", database]
    return launch(command, port, folder / "server.log", environment=variables)


@pytest.fixture(scope="module")
def http(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a client of a server that traces."""
    child = serve(tmp_path_factory.mktemp("traced"), collector.url)
    try:
        with httpx.Client(base_url=child.url, trust_env=False, timeout=30) as client:
            yield client
    finally:
        stop(child)


def attributes(span: Span) -> dict[str, object]:
    """Return what a span says."""
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in span.attributes}


def test_a_request_is_a_span_below_the_callers_and_linked_from_its_transaction(
    http: httpx.Client, collector: Collector
) -> None:
    job_id = Api(http).register()["job_id"]
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "X-Request-Id": "traced"}
    assert http.get("/jobs/batch_size", params={"job_id": job_id}, headers=headers).is_success
    [span] = collector.named("GET /jobs/batch_size")
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert span.kind == Span.SPAN_KIND_SERVER
    assert attributes(span) == {
        "http.request.method": "GET",
        "http.route": "/jobs/batch_size",
        "http.response.status_code": 200,
        "batchbandit.request_id": "traced",
        "batchbandit.job_id": job_id,
    }
    [transaction] = [
        each
        for each in collector.named("transaction", 2)
        if [link.span_id for link in each.links] == [span.span_id]
    ]
    assert transaction.links[0].trace_id == span.trace_id
    assert attributes(transaction) == {"batchbandit.commands": 1, "batchbandit.retries": 0}
    assert span.start_time_unix_nano <= transaction.start_time_unix_nano
    assert transaction.end_time_unix_nano <= span.end_time_unix_nano
    assert collector.services == {"batchbandit"}


def test_a_refusal_is_no_error_of_the_service_and_has_no_route_where_there_is_none(
    http: httpx.Client, collector: Collector
) -> None:
    http.request("POST", "/nothing")
    [span] = collector.named("POST")
    assert attributes(span)["http.response.status_code"] == 404
    assert "http.route" not in attributes(span)
    assert span.status.code == Status.STATUS_CODE_UNSET


def test_what_a_caller_does_not_sample_is_answered_and_not_traced(
    http: httpx.Client, collector: Collector
) -> None:
    for flags in ("00", "01"):
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-{flags}", "X-Request-Id": f"sampled-{flags}"}
        assert http.get("/readyz", headers=headers).status_code == 200
    [span] = collector.named("GET /readyz")
    assert attributes(span)["batchbandit.request_id"] == "sampled-01"


def test_a_transaction_that_begins_again_says_so() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.note_retry(7)  # of a transaction that nobody traces
    with Tracing(provider).transaction([], 3):
        tracing.note_retry(1)
        tracing.note_retry(2)
    with pytest.raises(ZeroDivisionError), Tracing(provider).transaction([], 1):
        raise ZeroDivisionError
    again, failed = exporter.get_finished_spans()
    assert again.attributes == {"batchbandit.commands": 3, "batchbandit.retries": 2}
    assert [event.name for event in again.events] == ["retry", "retry"]
    assert (again.status.is_ok, failed.status.is_ok) == (True, False)


def test_a_collector_that_is_away_keeps_nothing_waiting(tmp_path: Path) -> None:
    child = serve(tmp_path, f"http://127.0.0.1:{free_port()}")
    for _ in range(20):
        assert httpx.get(f"{child.url}/healthz", trust_env=False).is_success
    began = time.monotonic()
    assert stop(child) == 0
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, ["otlp_proto_http"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, ["otlp_proto_http"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "True"}, []),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, ["otlp_proto_http", "console"]),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ["otlp_proto_grpc"]),
    ],
)
def test_the_variables_say_where_traces_go(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], names: list[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert exporters() == names
    if not names:
        assert tracing_wanted() is None


def test_nothing_of_it_is_imported_where_nobody_asks() -> None:
    script = (
        "import sys, service.cli, service.workers; from service.tracing import tracing_wanted;"
        "assert tracing_wanted() is None; print([m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout == "[]\n", done.stderr


def test_what_is_asked_for_and_not_installed_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    assert tracing_wanted() is None
    assert "install batchbandit-server[otel]" in caplog.text
