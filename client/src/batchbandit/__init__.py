"""What a training job imports to train with the batch size that costs the least."""

from __future__ import annotations

from batchbandit.asynchronous import AsyncTrial
from batchbandit.energy.measuring import measure
from batchbandit.energy.meters import Device, Energy, EnergyMeter
from batchbandit.errors import BatchbanditError, InvalidJob, OutOfOrder, TrainFailed
from batchbandit.jobs import JobSpec
from batchbandit.learning_rate import scaled
from batchbandit.opening import trial
from batchbandit.optimizer import BatchSizeOptimizer
from batchbandit.ranks import Alone, Ranks
from batchbandit.trials import Trial
from batchbandit.verdicts import Verdict
from batchbandit.version import VERSION

__version__ = VERSION
__all__ = [
    "Alone",
    "AsyncTrial",
    "BatchSizeOptimizer",
    "BatchbanditError",
    "Device",
    "Energy",
    "EnergyMeter",
    "InvalidJob",
    "JobSpec",
    "OutOfOrder",
    "Ranks",
    "TrainFailed",
    "Trial",
    "Verdict",
    "__version__",
    "measure",
    "scaled",
    "trial",
]
