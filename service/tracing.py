"""Traces for OpenTelemetry, where its packages are installed and its variables ask for them.

Nothing of it is imported otherwise.
"""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from http import HTTPStatus
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from service.context import Asked

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span
    from starlette.types import Scope

log = logging.getLogger("batchbandit.tracing")

PROTOCOL = "http/protobuf"
"""How OTLP is spoken where nothing else is said."""
EXPORTERS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
"""By the protocol of OTLP, the exporter that speaks it, as its package calls it."""
CLOSING_SECONDS = 3.0
"""How long the last spans may take when the service stops."""

_transaction: ContextVar[Any] = ContextVar("transaction", default=None)


class Tracing:
    """Makes a span a request and one a transaction, with links to the requests that it carries out."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry import propagate, trace  # noqa: PLC0415

        self._provider = provider
        self._tracer = provider.get_tracer("batchbandit")
        self._trace = trace
        self._extract = propagate.extract

    def begin(self, scope: "Scope") -> "Span":
        """Begin the span of a request, within the one that it names as its parent."""
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        return self._tracer.start_span(
            scope["method"],
            self._extract(carrier),
            self._trace.SpanKind.SERVER,
            {"http.request.method": scope["method"]},
        )

    def end(self, asked: Asked, method: str, route: str | None, status: int) -> None:
        """End the span of a request, whose route is None where it has found none."""
        span = asked.span  # which says nothing of itself where it is not sampled
        if route is not None:
            span.update_name(f"{method} {route}")
            span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        span.set_attribute("batchbandit.request_id", asked.request_id)
        if asked.job_id is not None:
            span.set_attribute("batchbandit.job_id", asked.job_id)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end()

    @contextmanager
    def transaction(self, requests: Sequence[Asked], num_commands: int) -> Iterator[None]:
        """Have a span while a transaction is carried out."""
        links = [self._trace.Link(asked.span.get_span_context()) for asked in requests]
        counted = {"batchbandit.commands": num_commands, "batchbandit.retries": 0}
        with self._tracer.start_as_current_span("transaction", links=links, attributes=counted) as span:
            token = _transaction.set(span)
            try:
                yield
            finally:
                _transaction.reset(token)

    def close(self) -> None:
        """Send the last spans, if there is somebody who takes them."""
        # Without one the packages would wait for half a minute.
        closing = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        closing.start()
        closing.join(CLOSING_SECONDS)


def note_retry(num_attempts: int) -> None:
    """Say in the span of the transaction that is carried out that it begins again."""
    span = _transaction.get()
    if span is not None:
        span.add_event("retry")
        span.set_attribute("batchbandit.retries", num_attempts)


def tracing_wanted() -> Tracing | None:
    """Return what traces as OpenTelemetry's variables say, None where they ask for nothing."""
    names = exporters()
    if not names:
        return None
    try:
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        log.warning(
            "traces are asked for, and OpenTelemetry is not installed: install batchbandit-server[otel]"
        )
        return None
    # What is said in the variables goes before.
    resource = Resource({SERVICE_NAME: "batchbandit"}).merge(Resource.create())
    if "OTEL_SERVICE_NAME" not in os.environ:
        resource = resource.merge(Resource({SERVICE_NAME: "batchbandit"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for name in names:
        for found in entry_points(group="opentelemetry_traces_exporter", name=name):
            provider.add_span_processor(BatchSpanProcessor(found.load()()))
            log.info("traces go to %s", name)
            break
        else:
            log.warning("traces are asked for, and there is no exporter %s: install its package", name)
    return Tracing(provider)


def exporters() -> list[str]:
    """Return the names of the exporters that OpenTelemetry's variables ask for."""
    said = os.environ.get
    if said("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    is_addressed = said("OTEL_EXPORTER_OTLP_ENDPOINT") or said("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    asked = said("OTEL_TRACES_EXPORTER") or ("otlp" if is_addressed else "none")
    protocol = said("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or said("OTEL_EXPORTER_OTLP_PROTOCOL") or PROTOCOL
    names = [name.strip() for name in asked.split(",")]
    return [EXPORTERS.get(protocol, protocol) if name == "otlp" else name for name in names if name != "none"]
