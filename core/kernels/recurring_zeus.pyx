"""Policy ``zeus`` in C, for jobs whose trainings come one after the other and never fail to report.

It decides as ``core.policies.zeus`` does, to the last bit; there are the sources. An arm of more than 256
results lives on running sums there, which are not here: such a job is left to who called.
"""

import numpy as np

from libc.math cimport INFINITY
from libc.stdint cimport int64_t, uint64_t

from core.kernels.posterior cimport fit_as_numpy
from core.kernels.recurrences cimport (
    BEYOND,
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
from core.kernels.thompson cimport choose_one

cdef enum:
    MOST_RESULTS = 256

# A job as it stands; pointers are to scratch of the size of its batch sizes.
cdef struct job_state:
    # Terms.
    int64_t sizes
    int64_t default
    int64_t rounds
    int64_t window
    int64_t explorations
    double beta
    double prior_mean
    double prior_precision
    # The walk: where it is among the survivors of the round before, which go down from `start`, then up.
    int64_t round
    int64_t num_survivors
    int64_t start
    int64_t place
    bint is_upwards
    int64_t cheapest
    double cheapest_cost
    int64_t *survivors
    int64_t *converged  # of this round, by batch size
    # The bandit: its i-th arm is the i-th survivor.
    bint is_walking
    double *means
    double *precisions
    int64_t *observations
    # What both learn from.
    double min_cost
    double *rewards  # by batch size, then trial number
    int64_t *counts
    pcg64_stream stream
    # Scratch.
    double *ordered
    double *samples
    int64_t *order


cdef void begin(void *state, const pcg64_stream *stream) noexcept nogil:
    cdef job_state *job = <job_state *>state
    cdef int64_t i
    job.stream = stream[0]
    job.min_cost = INFINITY
    job.num_survivors = job.sizes
    job.round = 0
    for i in range(job.sizes):
        job.survivors[i] = i
        job.counts[i] = 0
    job.is_walking = True
    begin_round(job, job.default)


cdef void begin_round(job_state *job, int64_t default) noexcept nogil:
    cdef int64_t i
    if job.round == job.rounds:
        job.is_walking = False
        for i in range(job.num_survivors):
            fit(job, i, ascending=True)
        return
    for i in range(job.num_survivors):
        job.converged[job.survivors[i]] = False
        if job.survivors[i] == default:
            job.start = i
    job.place, job.is_upwards = job.start, False
    job.cheapest, job.cheapest_cost = -1, INFINITY


cdef void end_round(job_state *job) noexcept nogil:
    cdef int64_t i, kept = 0
    for i in range(job.num_survivors):
        if job.converged[job.survivors[i]]:
            job.survivors[kept] = job.survivors[i]
            kept += 1
    job.num_survivors = kept
    job.round += 1
    if kept > 0:
        begin_round(job, job.cheapest)


cdef void walk(job_state *job, int64_t size, double cost, bint converged) noexcept nogil:
    """Go on from a batch size that was explored."""
    if converged:
        job.converged[size] = True
        if job.cheapest < 0 or cost < job.cheapest_cost:
            job.cheapest, job.cheapest_cost = size, cost
        job.place += 1 if job.is_upwards else -1
    if not job.is_upwards and (job.place < 0 or not converged):
        job.place, job.is_upwards = job.start + 1, True
    elif job.is_upwards and not converged:
        job.place = job.num_survivors
    if job.is_upwards and job.place == job.num_survivors:
        end_round(job)


cdef void fit(job_state *job, int64_t arm, bint ascending) noexcept nogil:
    """Fit an arm on its results: at its birth all, ascending; then in the order of ``core.arms.ordered``."""
    cdef int64_t size = job.survivors[arm]
    cdef int64_t n = job.counts[size], window = job.window, i
    cdef const double *seen = job.rewards + size * MOST_RESULTS
    cdef double reward_precision
    if n == 0:
        job.means[arm], job.precisions[arm], job.observations[arm] = job.prior_mean, job.prior_precision, 0
        return
    if not ascending and 0 < window < n:
        seen += n - window
        n = window
    elif not ascending:
        for i in range(n - 1):
            job.ordered[i] = seen[n - 2 - i]
        job.ordered[n - 1] = seen[n - 1]
        seen = job.ordered
    fit_as_numpy(seen, n, job.prior_mean, job.prior_precision, &job.means[arm], &job.precisions[arm],
                 &reward_precision)
    job.observations[arm] = n


cdef int64_t suggest(void *state) noexcept nogil:
    cdef job_state *job = <job_state *>state
    cdef int64_t arm, size
    if job.num_survivors == 0:
        return STUCK
    if job.is_walking:
        size = job.survivors[job.place]
    else:
        arm = choose_one(&job.stream, job.means, job.precisions, job.observations, job.explorations,
                         job.num_survivors, job.order, job.samples)
        size = job.survivors[arm]
    return BEYOND if job.counts[size] == MOST_RESULTS else size


cdef int judge(void *state, const report *said) noexcept nogil:
    cdef job_state *job = <job_state *>state
    cdef bint is_within = said.cost <= job.beta * job.min_cost
    if is_within and not said.is_reached and not said.is_last:
        return GOES_ON
    return CONVERGED if is_within and said.is_reached else FAILED


cdef void learn(void *state, const report *said, bint converged) noexcept nogil:
    cdef job_state *job = <job_state *>state
    cdef int64_t arm
    job.rewards[said.size * MOST_RESULTS + job.counts[said.size]] = -said.cost
    job.counts[said.size] += 1
    if converged and said.cost < job.min_cost:
        job.min_cost = said.cost
    if job.is_walking:
        walk(job, said.size, said.cost, converged)
        return
    for arm in range(job.num_survivors):
        if job.survivors[arm] == said.size:
            fit(job, arm, ascending=False)


cdef policy ZEUS = policy(begin, suggest, judge, learn)


def play(
    Trainings before not None,
    Trainings after not None,
    int64_t change,
    const uint64_t[:, :, ::1] chances,
    const uint64_t[:, ::1] streams,
    int64_t recurrences,
    *,
    int64_t default,
    double beta,
    int64_t rounds,
    int64_t explorations,
    int64_t window,
    double prior_mean,
    double prior_precision,
):
    """Let s jobs recur, each until it has reached its target so many times.

    Args:
        before: What is trained, at k batch sizes, ascending.
        after: What is trained once a job has recurred ``change`` times, at the same batch sizes.
        change: That number; where it is ``recurrences`` or more, nothing ever changes.
        chances: uint64 (s, k, 6), the streams that the trainings of a job and batch size are drawn from.
        streams: uint64 (s, 6), the jobs' own streams.
        recurrences: At least 0.
        default: The index of the default batch size.
        beta: At how many times the lowest cost trainings are stopped, > 0, infinite for never.
        rounds: Of the walk, at least 0.
        explorations: Results that an arm needs before it is sampled.
        window: How many results an arm is fitted on, 0 or less for all.
        prior_mean: Joules.
        prior_precision: Joules^-2, at least 0.

    Returns:
        Of each job its trainings, one row a job of ``recurrences.TRIAL``; how many of them there are, int64 (s);
        and how it came to an end, int64 (s): 0 as it should, -1 without a batch size, -2 it is not played here.

    Raises:
        ValueError: The shapes do not fit each other.
    """
    cdef int64_t n = before.read.sizes
    if not 0 <= default < n:
        raise ValueError("default must be the index of a batch size")
    if rounds < 0 or not beta > 0 or not prior_precision >= 0:
        raise ValueError("rounds and prior_precision must be at least 0, beta above 0")
    integers_array, floats_array = np.empty((5, n), dtype=np.int64), np.empty((3, n))
    rewards_array, ordered_array = np.empty((n, MOST_RESULTS)), np.empty(MOST_RESULTS)
    cdef int64_t[:, ::1] integers = integers_array
    cdef double[:, ::1] floats = floats_array, rewards = rewards_array
    cdef double[::1] ordered = ordered_array
    cdef job_state job
    job.sizes, job.default, job.rounds, job.window = n, default, rounds, window
    job.explorations = max(explorations, 1)
    job.beta, job.prior_mean, job.prior_precision = beta, prior_mean, prior_precision
    job.survivors, job.converged, job.observations = &integers[0, 0], &integers[1, 0], &integers[2, 0]
    job.counts, job.order = &integers[3, 0], &integers[4, 0]
    job.means, job.precisions, job.samples = &floats[0, 0], &floats[1, 0], &floats[2, 0]
    job.rewards, job.ordered = &rewards[0, 0], &ordered[0]
    return play_policy(&ZEUS, &job, before, after, change, chances, streams, recurrences)
