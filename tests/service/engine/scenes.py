"""Commands for the engine's tests."""

from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from core.records import Report, Specification, Trial
from service.engine.commands import Register, Tell

T = TypeVar("T")


class Play(Protocol):
    """What runs a scene to its end."""

    def __call__(self, scene: Coroutine[Any, Any, T], /) -> T:
        """Return what the scene returns."""


def specification(job_id: str = "job", batch_sizes: tuple[int, ...] = (8, 16, 32)) -> Specification:
    """Return a specification whose default is the middle batch size."""
    return Specification(
        job_id=job_id,
        job_id_prefix="",
        batch_sizes=batch_sizes,
        default_batch_size=batch_sizes[len(batch_sizes) // 2],
        higher_is_better_metric=True,
        eta_knob=0.5,
        beta_knob=2.0,
        target_metric=0.5,
        max_epochs=2,
        num_pruning_rounds=1,
        window_size=0,
        max_power=200.0,
        number_of_gpus=1,
        gpu_model="V100",
        mab_prior_mean=0.0,
        mab_prior_precision=0.0,
        mab_num_explorations=2,
        mab_seed=1,
        lease_seconds=600.0,
        max_failures=3,
    )


def registration(job_id: str = "job", batch_sizes: tuple[int, ...] = (8, 16, 32)) -> Register:
    """Return the registration of a job."""
    return Register(specification(job_id, batch_sizes), 1, is_named=True, actor="test")


def success(trial: Trial, energy: float = 20_000.0) -> Tell:
    """Return a report that ends a trial well; joules."""
    return told(trial.job_id, trial.batch_size, trial.trial_number, 0.9, energy)


def told(job_id: str, batch_size: int, trial_number: int, metric: float, energy: float) -> Tell:
    """Return a report of a first epoch; joules."""
    return Tell(
        Report(
            job_id=job_id,
            batch_size=batch_size,
            trial_number=trial_number,
            time=100.0,
            energy=energy,
            metric=metric,
            current_epoch=1,
        )
    )
