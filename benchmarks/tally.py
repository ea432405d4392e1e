"""What came of a load: counts, latencies and errors by endpoint."""

from array import array
from collections import Counter, defaultdict

import numpy as np
from msgspec import Struct
from rich.table import Table


class Endpoint(Struct, frozen=True):
    """What one endpoint did: successes in the measured window, and failures in the whole run.

    The percentiles are milliseconds, None without a success. ``errors`` are counted by HTTP status, or
    ``dropped`` (the connection ended), ``malformed`` (a success without the body it should have),
    ``unanswered`` (nothing by the end), ``unreachable`` (no connection could be made).
    """

    requests: int
    per_second: float
    p50: float | None
    p95: float | None
    p99: float | None
    errors: dict[str, int]


class Result(Struct, frozen=True):
    """What a load came to; ``seconds`` is the measured window, ``attempts`` all requests ever sent.

    ``generator_cpu`` is the share of one core that the generator took: near 1, it was the bottleneck.
    """

    connections: int
    jobs: int
    seconds: float
    attempts: int
    generator_cpu: float
    endpoints: dict[str, Endpoint]
    total: Endpoint


class Tally:
    """Counts while the load runs.

    Args:
        opens: Clock time from which successes are measured; what began before is warm-up.
        closes: Clock time from which they no longer are.
    """

    def __init__(self, opens: float, closes: float) -> None:
        self._opens = opens
        self._closes = closes
        self.attempts = 0
        self._latencies: dict[str, array[float]] = defaultdict(lambda: array("d"))
        self._errors: dict[str, Counter[str]] = defaultdict(Counter)

    def succeeded(self, endpoint: str, began: float, ended: float) -> None:
        """Count an answer of success."""
        if began >= self._opens and ended <= self._closes:
            self._latencies[endpoint].append(ended - began)

    def failed(self, endpoint: str, reason: str) -> None:
        """Count a failure, whenever it was."""
        self._errors[endpoint][reason] += 1

    def endpoints(self, names: tuple[str, ...], seconds: float) -> dict[str, Endpoint]:
        """Return what each endpoint did in a window of so many seconds."""
        return {name: _endpoint(self._latencies[name], self._errors[name], seconds) for name in names}

    def total(self, seconds: float) -> Endpoint:
        """Return what all endpoints did together."""
        latencies = array("d")
        for some in self._latencies.values():
            latencies.extend(some)
        return _endpoint(latencies, sum(self._errors.values(), Counter()), seconds)


def _endpoint(latencies: "array[float]", errors: Counter[str], seconds: float) -> Endpoint:
    """Summarise latencies in seconds."""
    percentiles = np.percentile(latencies, (50, 95, 99)) if latencies else (None, None, None)
    p50, p95, p99 = (None if p is None else round(float(p) * 1000, 3) for p in percentiles)
    per_second = round(len(latencies) / seconds, 1) if seconds > 0 else 0.0
    return Endpoint(len(latencies), per_second, p50, p95, p99, dict(errors))


def table(result: Result) -> Table:
    """Return a result for people."""
    table = Table(
        title=f"{result.connections} connections, {result.jobs} jobs, {result.seconds:.1f} s measured; "
        f"the generator took {result.generator_cpu:.0%} of a core",
        title_justify="left",
    )
    table.add_column("endpoint", no_wrap=True)
    for heading in ("requests", "req/s", "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("errors")
    for name, endpoint in result.endpoints.items():
        table.add_row(name, *_cells(endpoint))
    table.add_section()
    table.add_row("total", *_cells(result.total), style="bold")
    return table


def _cells(endpoint: Endpoint) -> list[str]:
    """Return an endpoint's row."""
    percentiles = ("-" if p is None else f"{p:.2f}" for p in (endpoint.p50, endpoint.p95, endpoint.p99))
    errors = ", ".join(f"{reason}: {count}" for reason, count in sorted(endpoint.errors.items()))
    return [str(endpoint.requests), f"{endpoint.per_second:.0f}", *percentiles, errors or "none"]
