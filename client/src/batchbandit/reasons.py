"""Why a training failed, in the words that the service keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PREEMPTED = "preempted"
"""The machine or the user took the training away: it says nothing of its batch size."""
UNMEASURED = "unmeasured"
"""The training went on without its energy being measured: its cost is unknown."""
OUT_OF_MEMORY = "out_of_memory"
ENDED_EARLY = "ended_early"
"""The block was left before the service said stop, without an exception."""
LONGEST_REASON = 100

_TAKEN_AWAY = frozenset(("KeyboardInterrupt", "GeneratorExit", "CancelledError", "SIGTERMException"))
# By name: CUDA's and HIP's errors of torch, TensorFlow's, CuPy's; their modules are not imported for this.
_OUT_OF_MEMORY = frozenset(("MemoryError", "OutOfMemoryError", "ResourceExhaustedError"))
_OUT_OF_MEMORY_TEXTS = (
    "out of memory",
    "resource_exhausted",  # JAX
    "can't allocate memory",  # torch on a CPU
    "not enough memory",
    "alloc_failed",  # cuBLAS and cuDNN
    "std::bad_alloc",
)


def reason_of(error: BaseException | None, *, was_terminated: bool = False) -> str:
    """Return the reason of a training that ended before it was told to stop."""
    if was_terminated:
        return PREEMPTED
    if error is None:
        return ENDED_EARLY
    name = type(error).__name__
    # Who catches an interrupt and exits, as some frameworks do, was interrupted.
    behind = _chain(error) if isinstance(error, SystemExit) else [error]
    if any(type(each).__name__ in _TAKEN_AWAY for each in behind):
        return PREEMPTED
    if any(_is_out_of_memory(cause) for cause in _chain(error)):
        return OUT_OF_MEMORY
    return name[:LONGEST_REASON]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _is_out_of_memory(error: BaseException) -> bool:
    if type(error).__name__ in _OUT_OF_MEMORY:
        return True
    text = str(error).lower()
    return isinstance(error, (RuntimeError, OSError)) and any(part in text for part in _OUT_OF_MEMORY_TEXTS)
