"""Policy ``frugal`` in C, for jobs whose trainings come one after the other and never fail to report.

It decides as ``core.policies.frugal`` does, to the last bit; there are the sources.
"""

import numpy as np

from libc.math cimport INFINITY, isfinite
from libc.stdint cimport int64_t, uint64_t

from core.kernels.beliefs cimport BOUND, FAILURES, INHERITED_FROM, RUNNING, SUCCESSES, WIDTH
from core.kernels.frugality cimport (
    BEYOND_BOUND,
    CONVERGED as HAS_CONVERGED,
    HOPELESS,
    OUT_OF_EPOCHS,
    choose_size,
    consider,
    cost_of,
    furnish,
    is_worth_it,
    leader_of,
    mind,
    result,
    room_of_mind,
    take_in,
)
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

from core.kernels.frugality import MOST_SIZES

cdef enum:
    COLUMNS = WIDTH - INHERITED_FROM  # of what is inherited

# A job as it stands; pointers are to scratch of the size of its batch sizes.
cdef struct job_state:
    mind of
    int64_t max_epochs
    int64_t rounds
    double beta
    double sign            # of metrics: they are better where they are higher
    int64_t number         # of the newest trial
    bint is_considered     # whether beliefs are of what is known
    int64_t leader
    pcg64_stream stream
    double *samples
    unsigned char *usable
    const double *inherited  # of the next job, NULL where nothing is
    # Of each batch size the levels that a training had reached after every epoch, of the first that converged.
    double *curves
    int64_t *lengths
    double *levels         # of the training that runs,
    bint is_recorded       # which are kept where none are yet
    int64_t ending
    double bound


cdef void begin(void *state, const pcg64_stream *stream) noexcept nogil:
    cdef job_state *job = <job_state *>state
    cdef int64_t i, j
    job.stream = stream[0]
    job.number = 0
    job.is_considered = False
    job.of.watched.dearer = job.of.watched.cheaper = 0.0
    job.of.watched.count = 0
    for i in range(job.of.n):
        for j in range(WIDTH):
            job.of.known[i * WIDTH + j] = 0.0
        job.of.known[i * WIDTH + BOUND] = -INFINITY
        job.lengths[i] = 0
    if job.inherited != NULL:
        for i in range(job.of.n):
            for j in range(COLUMNS):
                job.of.known[i * WIDTH + INHERITED_FROM + j] = job.inherited[i * COLUMNS + j]
        job.inherited += job.of.n * COLUMNS


cdef void consider_anew(job_state *job) noexcept nogil:
    if not job.is_considered:
        consider(&job.of)
        job.leader = leader_of(&job.of, NULL)
        job.is_considered = True


cdef int64_t suggest(void *state) noexcept nogil:
    cdef job_state *job = <job_state *>state
    cdef double saving, price
    cdef int64_t rule, size
    consider_anew(job)
    if not has_choice(job):
        return STUCK
    job.number += 1
    size = choose_size(&job.of, job.number, job.max_epochs, job.usable, &job.stream, job.samples, &rule, &saving,
                       &price)
    job.of.known[size * WIDTH + RUNNING] += 1
    job.is_recorded = job.lengths[size] == 0
    return size


cdef bint has_choice(job_state *job) noexcept nogil:
    """Leave out what is given up while nothing has converged; whether anything is left."""
    cdef bint is_left = False
    cdef int64_t i
    for i in range(job.of.n):
        job.usable[i] = job.leader >= 0 or job.of.known[i * WIDTH + FAILURES] < job.rounds
        is_left = is_left or job.usable[i]
    return is_left


cdef int judge(void *state, const report *said) noexcept nogil:
    cdef job_state *job = <job_state *>state
    cdef double level = job.sign * said.metric, rest
    cdef double *levels = job.levels
    cdef int64_t epoch = said.epoch
    levels[0] = -INFINITY
    if not (isfinite(level) and level > levels[epoch - 1]):
        level = levels[epoch - 1]
    levels[epoch] = level
    consider_anew(job)
    job.bound = -INFINITY
    if said.is_reached:
        job.ending = HAS_CONVERGED
        return CONVERGED
    if said.is_last:
        job.ending = OUT_OF_EPOCHS
        return FAILED
    if job.leader < 0:
        return GOES_ON
    if said.cost > job.beta * cost_of(&job.of, job.leader):
        job.ending = BEYOND_BOUND
        return FAILED
    if job.of.known[said.size * WIDTH + SUCCESSES] > 0 or job.beta == INFINITY:
        return GOES_ON
    if is_worth_it(&job.of, job.leader, said.size, epoch, said.cost, ahead_of(job, level), &job.bound, &rest):
        return GOES_ON
    job.ending = HOPELESS
    return FAILED


cdef double ahead_of(const job_state *job, double level) noexcept nogil:
    """The epoch in which the leader was first further than a level."""
    cdef const double *curve = job.curves + job.leader * (job.max_epochs + 1)
    cdef int64_t epoch, length = job.lengths[job.leader]
    for epoch in range(1, length + 1):
        if curve[epoch] > level:
            return epoch
    return length


cdef void learn(void *state, const report *said, bint converged) noexcept nogil:
    cdef job_state *job = <job_state *>state
    cdef result seen = result(said.size, said.epoch, said.time, said.energy, job.ending, job.bound)
    cdef double *curve = job.curves + said.size * (job.max_epochs + 1)
    cdef int64_t i
    job.of.known[said.size * WIDTH + RUNNING] -= 1
    if take_in(&job.of, &seen, job.number):
        for i in range(job.of.n):
            job.lengths[i] = 0
    if converged and job.is_recorded and job.lengths[said.size] == 0:
        job.lengths[said.size] = said.epoch
        for i in range(1, said.epoch + 1):
            curve[i] = job.levels[i]
    job.is_considered = False


cdef policy FRUGAL = policy(begin, suggest, judge, learn)


def play(
    Trainings before not None,
    Trainings after not None,
    int64_t change,
    const uint64_t[:, :, ::1] chances,
    const uint64_t[:, ::1] streams,
    int64_t recurrences,
    const double[::1] positions,
    inherited=None,
    *,
    int64_t default,
    double beta,
    int64_t rounds,
):
    """Let s jobs recur, each until it has reached its target so many times.

    Args:
        before: What is trained; this and what follows is as in ``recurring_zeus.play``.
        after: As there.
        change: As there.
        chances: As there.
        streams: As there.
        recurrences: As there.
        positions: float64 (k), the base-2 logarithms of the batch sizes, ascending.
        inherited: float64 (s, k, 5), what each job has inherited of each batch size: from whom, seconds
            and joules an epoch, the logarithm of epochs, the variance of what was seen; None where nothing is.
        default: As there.
        beta: At how many times the cost of the best trainings are stopped, > 0, infinite for never.
        rounds: How often a batch size is tried before none is left, where nothing ever converges; at least 1.

    Returns:
        What ``recurring_zeus.play`` returns.

    Raises:
        ValueError: The shapes do not fit each other.
    """
    cdef int64_t n = before.read.sizes, epochs = before.read.max_epochs
    if not 0 <= default < n:
        raise ValueError("default must be the index of a batch size")
    if positions.shape[0] != n or not 1 <= n <= MOST_SIZES:
        raise ValueError(f"positions must have an element a batch size, of which there are 1 to {MOST_SIZES}")
    if rounds < 1 or not beta > 0:
        raise ValueError("rounds must be at least 1, beta above 0")
    cdef const double[:, :, ::1] beginnings
    cdef job_state job
    job.inherited = NULL
    if inherited is not None:
        beginnings = inherited
        if (beginnings.shape[0], beginnings.shape[1], beginnings.shape[2]) != (streams.shape[0], n, COLUMNS):
            raise ValueError(f"inherited must have a row a job and batch size, of {COLUMNS} columns")
        if beginnings.shape[0] > 0:
            job.inherited = &beginnings[0, 0, 0]
    room_array, known_array = np.empty(room_of_mind(n)), np.empty((n, WIDTH))
    curves_array, levels_array = np.empty((n, epochs + 1)), np.empty(epochs + 1)
    samples_array, usable_array = np.empty(n), np.ones(n, dtype=np.uint8)
    lengths_array = np.empty(n, dtype=np.int64)
    cdef double[::1] room = room_array, levels = levels_array, samples = samples_array
    cdef double[:, ::1] known = known_array, curves = curves_array
    cdef unsigned char[::1] usable = usable_array
    cdef int64_t[::1] lengths = lengths_array
    furnish(&job.of, n, default, &positions[0], &room[0])
    job.of.known = &known[0, 0]
    job.of.energy_weight, job.of.time_weight = before.read.energy_weight, before.read.time_weight
    job.max_epochs, job.rounds, job.beta = epochs, rounds, beta
    job.sign = 1.0 if before.read.is_higher_better else -1.0
    job.samples, job.usable, job.curves = &samples[0], &usable[0], &curves[0, 0]
    job.lengths, job.levels = &lengths[0], &levels[0]
    return play_policy(&FRUGAL, &job, before, after, change, chances, streams, recurrences)
