"""What launchers of several processes say about them in the environment: torchrun, mpirun, srun."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from batchbandit.errors import OutOfOrder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOCAL_HOSTS = frozenset(("localhost", "127.0.0.1", "::1"))
FIRST_SPECIAL_STEP = 0xFFFFFFF0
"""Slurm's own steps have numbers from here: of a batch script, of the shell of an allocation."""


class Place(NamedTuple):
    """This process among those of its training.

    ``run`` is the same text for all of them and for no other training that begins meanwhile, None where
    nothing names one. ``is_one_host`` is False where the launcher says that they are on more than one, or
    does not say and has another host for their master.
    """

    rank: int
    size: int
    run: str | None
    is_one_host: bool


class _Launcher(NamedTuple):
    """The variables of a launcher; those that name the run come first where all of them are there."""

    rank: str
    size: str
    local_size: str
    runs: Sequence[Sequence[str]]


_TORCH_RUNS = (("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT"), ("MASTER_ADDR", "MASTER_PORT"))
_MPI_RUNS = (("PMIX_NAMESPACE",), ("OMPI_MCA_ess_base_jobid",))
_SLURM_RUNS = (("SLURM_JOB_ID", "SLURM_STEP_ID"),)
_TORCH = _Launcher("RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", _TORCH_RUNS + _SLURM_RUNS + _MPI_RUNS)
_OPEN_MPI = _Launcher(
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    _MPI_RUNS + _SLURM_RUNS + _TORCH_RUNS,
)
_SLURM = _Launcher("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "", _SLURM_RUNS)
_OLDER_SLURM = _Launcher("SLURM_PROCID", "SLURM_NTASKS", "", _SLURM_RUNS)


def find_place(environment: Mapping[str, str]) -> Place | None:
    """Return the place that a launcher gave this process, None where it trains alone.

    torchrun's variables (``RANK``, ``WORLD_SIZE``) come first, as it may run inside the others. Slurm's
    count only inside a step of ``srun``: an allocation has them too, for one process.

    Raises:
        OutOfOrder: There are several processes, and nothing tells this one which it is.
        ValueError: The variables make no sense.
    """
    launchers = [_TORCH, _OPEN_MPI]
    if _is_srun(environment):
        launchers += [_SLURM, _OLDER_SLURM]
    for launcher in launchers:
        if launcher.rank in environment and launcher.size in environment:
            place = _place(launcher, environment)
            return place if place.size > 1 else None
    if _integer(environment, "WORLD_SIZE", 1) > 1:
        raise OutOfOrder(
            f"WORLD_SIZE is {environment['WORLD_SIZE']}, and RANK is missing: start the processes with "
            "torchrun, or call torch.distributed.init_process_group() before the trial."
        )
    return None


def _is_srun(environment: Mapping[str, str]) -> bool:
    step = environment.get("SLURM_STEP_ID", "")
    return step.isdigit() and int(step) < FIRST_SPECIAL_STEP


def _place(launcher: _Launcher, environment: Mapping[str, str]) -> Place:
    rank, size = _integer(environment, launcher.rank), _integer(environment, launcher.size)
    if not 0 <= rank < size:
        raise ValueError(f"{launcher.rank} is {rank} and {launcher.size} {size}: no rank is that.")
    return Place(rank, size, _run(launcher, environment), _is_one_host(launcher, environment, size))


def _run(launcher: _Launcher, environment: Mapping[str, str]) -> str | None:
    for names in launcher.runs:
        values = [environment.get(name, "") for name in names]
        if all(values):
            return "/".join(values)
    return None


def _is_one_host(launcher: _Launcher, environment: Mapping[str, str], size: int) -> bool:
    if launcher.local_size in environment:
        return _integer(environment, launcher.local_size) >= size
    if "SLURM_STEP_NUM_NODES" in environment:
        return _integer(environment, "SLURM_STEP_NUM_NODES", 1) <= 1
    return environment.get("MASTER_ADDR", "localhost") in LOCAL_HOSTS  # a PyTorchJob's pods know no more


def _integer(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = environment.get(name, "")
    if not text and default is not None:
        return default
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r:.60}, which is no integer.") from None
