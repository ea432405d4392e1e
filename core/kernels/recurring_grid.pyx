"""Grid search in C: some batch sizes once each, in order, none stopped early; from then on the cheapest.

Cheapest is the one of the lowest cost among those that reached the target (ties: the first). Over one batch
size it is whoever always takes that one, whatever comes of it.
"""

from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint64_t

from core.kernels.recurrences cimport (
    CONVERGED,
    FAILED,
    GOES_ON,
    STUCK,
    Trainings,
    play as play_policy,
    policy,
    report,
)
from core.kernels.stream cimport pcg64_stream

cdef struct search:
    const int64_t *sizes
    int64_t num_sizes
    int64_t place  # of those that were tried
    int64_t cheapest
    double cost


cdef void begin(void *state, const pcg64_stream *stream) noexcept nogil:
    cdef search *job = <search *>state
    job.place, job.cost = 0, INFINITY
    job.cheapest = job.sizes[0] if job.num_sizes == 1 else STUCK


cdef int64_t suggest(void *state) noexcept nogil:
    cdef search *job = <search *>state
    return job.sizes[job.place] if job.place < job.num_sizes else job.cheapest


cdef int judge(void *state, const report *said) noexcept nogil:
    if said.is_reached:
        return CONVERGED
    return FAILED if said.is_last else GOES_ON


cdef void learn(void *state, const report *said, bint converged) noexcept nogil:
    cdef search *job = <search *>state
    if job.place == job.num_sizes:
        return
    job.place += 1
    if converged and said.cost < job.cost:
        job.cheapest, job.cost = said.size, said.cost


cdef policy GRID = policy(begin, suggest, judge, learn)


def play(
    Trainings before not None,
    Trainings after not None,
    int64_t change,
    const uint64_t[:, :, ::1] chances,
    const uint64_t[:, ::1] streams,
    int64_t recurrences,
    const int64_t[::1] sizes,
):
    """Let s jobs recur, each until it has reached its target so many times.

    Args:
        before: What is trained; this and what follows is as in ``recurring_zeus.play``.
        after: As there.
        change: As there.
        chances: As there.
        streams: As there; nothing is drawn from them.
        recurrences: As there.
        sizes: Indices of the batch sizes to try, in order, at least one.

    Returns:
        What ``recurring_zeus.play`` returns.

    Raises:
        ValueError: The shapes do not fit each other.
    """
    cdef Py_ssize_t i
    if sizes.shape[0] == 0:
        raise ValueError("sizes must name at least one batch size")
    for i in range(sizes.shape[0]):
        if not 0 <= sizes[i] < before.read.sizes:
            raise ValueError("sizes must be indices of batch sizes")
    cdef search job
    job.sizes, job.num_sizes = &sizes[0], sizes.shape[0]
    return play_policy(&GRID, &job, before, after, change, chances, streams, recurrences)
