"""A job of the policy ``frugal`` that recurs, and what it knows then."""

from collections.abc import Callable

from core.policies import frugal
from core.policies.knowledge import Knowledge, Seen
from tests.core.conftest import Ledger

MakeFrugal = Callable[..., Ledger]
COSTS = {8: 200.0, 16: 150.0, 32: 100.0, 64: 80.0, 128: 120.0}
"""Of a training at each batch size."""
EPOCHS = 5
"""In which a training reaches its target."""


def known(ledger: Ledger) -> Knowledge:
    """Return what is known of a job."""
    return frugal.known_of(ledger.job)


def seen(ledger: Ledger, size: int) -> Seen:
    """Return what was seen of a batch size."""
    return known(ledger).seen.get(size, Seen())


def train(ledger: Ledger, number: int, cost: float, epochs: int = EPOCHS) -> str:
    """Let a training report every epoch until it is told to stop, as it reaches the target; say why."""
    for epoch in range(1, epochs + 1):
        share = epoch / epochs
        reported = ledger.report(
            number, time=share, energy=cost * share, metric=0.5 * share, current_epoch=epoch
        )
        if reported.verdict.stop_train:
            break
    return reported.verdict.message


def recur(ledger: Ledger, costs: dict[int, float], times: int = 1) -> list[int]:
    """Let a job recur; return its batch sizes."""
    sizes = []
    for _ in range(times):
        trial = ledger.suggest().trial
        train(ledger, trial.trial_number, costs[trial.batch_size])
        sizes.append(trial.batch_size)
    return sizes


def proven(make_frugal: MakeFrugal, **changes: object) -> Ledger:
    """Return a job whose default batch size has converged."""
    ledger = make_frugal(**changes)
    recur(ledger, COSTS)
    return ledger


def leader_of(ledger: Ledger) -> int | None:
    """Return the batch size that is believed to be the best."""
    leader = known(ledger).leader
    return None if leader is None else leader.batch_size
