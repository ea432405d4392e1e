"""How many inputs were tried, and what became of them: one line a tool."""

import time
from collections import Counter


class Counts:
    """The inputs of one tool, by the status that answered them; 0 where nothing did."""

    def __init__(self, tool: str) -> None:
        self.tool = tool
        self.findings = 0
        self._statuses: Counter[int] = Counter()
        self._began = time.monotonic()

    @property
    def inputs(self) -> int:
        """How many inputs were tried."""
        return self._statuses.total()

    def note(self, status: int) -> None:
        """Count one input."""
        self._statuses[status] += 1

    def line(self) -> str:
        """Return the counts as a line."""
        accepted = sum(number for status, number in self._statuses.items() if 200 <= status < 300)
        statuses = " ".join(f"{status}:{number}" for status, number in sorted(self._statuses.items()))
        return (
            f"{self.tool}: {self.inputs} inputs, {accepted} accepted, {self.inputs - accepted} refused "
            f"({statuses}), {time.monotonic() - self._began:.1f} s, {self.findings} findings"
        )
