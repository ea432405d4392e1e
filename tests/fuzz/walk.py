"""The pruning stage as a walk that goes on step by step; the service looks back over a history instead."""

from dataclasses import dataclass, field


@dataclass
class Walk:
    """The pruning stage: rounds over the batch sizes, each down from its default and then up."""

    batch_sizes: list[int]
    default: int
    rounds_left: int
    ahead: list[list[int]] = field(default_factory=list)
    converged: dict[int, float] = field(default_factory=dict)
    is_lost: bool = False

    def __post_init__(self) -> None:
        self._begin()

    @property
    def next_size(self) -> int | None:
        """The batch size to explore; None where the walk has ended."""
        return self.ahead[0][0] if self.ahead else None

    def succeed(self, cost: float) -> None:
        """Go on after the next batch size has converged at a cost."""
        self.converged[self.ahead[0].pop(0)] = cost
        self._settle()

    def leave_out(self) -> None:
        """Go on past the next batch size, which had converged and was set aside since."""
        del self.ahead[0][0]
        self._settle()

    def fail(self) -> None:
        """Turn around after the next batch size has not converged."""
        del self.ahead[0]
        self._settle()

    def _begin(self) -> None:
        if self.rounds_left == 0:
            return
        self.batch_sizes.sort()
        start = self.batch_sizes.index(self.default)
        self.ahead = [self.batch_sizes[start::-1], self.batch_sizes[start + 1 :]]
        self.converged = {}
        self._settle()

    def _settle(self) -> None:
        """Leave directions that are done and, where both are, the round."""
        self.ahead = [direction for direction in self.ahead if direction]
        if self.ahead:
            return
        self.rounds_left -= 1
        self.is_lost = not self.converged
        if self.converged:
            self.default = min(self.converged, key=lambda size: self.converged[size])
            self.batch_sizes = list(self.converged)
            self._begin()
