"""One Thompson step of many jobs: permutation, exploration branch, one normal an arm, argmax.

Bit for bit what NumPy's ``Generator(PCG64)`` gives for ``choice(arms, n, replace=False)`` followed by
``normal(mean, sqrt(1 / precision))`` arm by arm; the normals come from NumPy's own C library.
Source: D. Russo et al., "A Tutorial on Thompson Sampling", 2018, section 4; W. R. Thompson, 1933.
"""

cimport numpy as cnp
from libc.math cimport NAN, sqrt
from libc.stdint cimport int64_t, uint32_t, uint64_t
from numpy.random cimport bitgen_t

from core.kernels.stream cimport pcg64_bitgen, pcg64_stream, pcg64_up_to

cdef extern from "numpy/random/distributions.h" nogil:
    double random_normal(bitgen_t *bitgen, double mean, double scale)

# Above this many arms ``choice`` shuffles at once; up to it Floyd's selection comes first.
cdef int64_t FLOYD_LIMIT = 10_000

cnp.import_array()


cdef inline int64_t explore(
    pcg64_stream *stream,         # IN, OUT
    const int64_t *observations,  # IN
    int64_t explorations,
    int64_t n,
    int64_t *order,               # scratch
) noexcept nogil:
    """The first under-observed arm of ``choice(n, n, replace=False)``, or -1; the stream moves either way."""
    cdef int64_t i, j, held, least = observations[0]
    if n <= FLOYD_LIMIT:
        # The selection of n out of n: all of them in order, whatever is drawn.
        for i in range(1, n):
            pcg64_up_to(stream, <uint32_t>i)
    for i in range(1, n):
        least = min(least, observations[i])
    if least >= explorations:
        for i in range(n - 1, 0, -1):
            pcg64_up_to(stream, <uint32_t>i)
        return -1
    for i in range(n):
        order[i] = i
    for i in range(n - 1, 0, -1):
        j = pcg64_up_to(stream, <uint32_t>i)
        held = order[j]
        order[j] = order[i]
        order[i] = held
    i = 0
    while observations[order[i]] >= explorations:
        i += 1
    return order[i]


cdef int64_t choose_one(
    pcg64_stream *stream,         # IN, OUT
    const double *means,          # IN
    const double *precisions,     # IN
    const int64_t *observations,  # IN
    int64_t explorations,
    int64_t n,
    int64_t *order,               # scratch
    double *samples,              # OUT, NaN where none was drawn
) noexcept nogil:
    cdef bitgen_t bitgen = pcg64_bitgen(stream)
    cdef int64_t i, best = explore(stream, observations, explorations, n, order)
    if best >= 0:
        for i in range(n):
            samples[i] = NAN
        return best
    # All scales before the first draw, so that the compiler takes two square roots at a time.
    for i in range(n):
        samples[i] = sqrt(1.0 / precisions[i])
    for i in range(n):
        samples[i] = random_normal(&bitgen, means[i], samples[i])
    best = 0
    for i in range(1, n):
        best = i if samples[i] > samples[best] else best
    return best


def choose(
    const int64_t[::1] offsets,
    const double[::1] means,
    const double[::1] precisions,
    const int64_t[::1] observations,
    const int64_t[::1] explorations,
    const uint64_t[:, ::1] states,
):
    """Choose an arm for each of k jobs whose n arms lie one job after the other.

    A job's arms are permuted; the first with fewer than its ``explorations`` observations is taken. Where
    there is none, one sample an arm is drawn from its posterior, in order, and the largest wins (ties: the
    first).

    Args:
        offsets: int64 (k + 1), job i's arms are ``offsets[i]:offsets[i + 1]``, at least one each.
        means: float64 (n), posterior means.
        precisions: float64 (n), posterior precisions, > 0; an infinite one draws the mean.
        observations: int64 (n), results an arm has seen.
        explorations: int64 (k), results an arm of the job needs before it is sampled.
        states: uint64 (k, 6), the jobs' streams.

    Returns:
        The chosen arms as indices into their job's arms, int64 (k); the samples, float64 (n), NaN where none
        was drawn; the streams behind the draws, uint64 (k, 6).

    Raises:
        ValueError: The shapes do not fit each other.
    """
    cdef Py_ssize_t k = offsets.shape[0] - 1
    cdef Py_ssize_t n = means.shape[0]
    cdef Py_ssize_t i, widest = 1
    if k < 0 or offsets[0] != 0 or offsets[k] != n:
        raise ValueError("offsets must run from 0 to the number of arms")
    if precisions.shape[0] != n or observations.shape[0] != n:
        raise ValueError("means, precisions and observations must be equally long")
    if explorations.shape[0] != k or states.shape[0] != k or states.shape[1] != 6:
        raise ValueError("explorations and states must have one row a job, states 6 columns")
    for i in range(k):
        if offsets[i + 1] <= offsets[i]:
            raise ValueError("every job needs at least one arm")
        widest = max(widest, offsets[i + 1] - offsets[i])
    cdef cnp.npy_intp[2] shape = [k, 6]
    cdef cnp.ndarray choices = cnp.PyArray_EMPTY(1, shape, cnp.NPY_INT64, 0)
    cdef cnp.ndarray after = cnp.PyArray_EMPTY(2, shape, cnp.NPY_UINT64, 0)
    shape[0] = n
    cdef cnp.ndarray samples = cnp.PyArray_EMPTY(1, shape, cnp.NPY_FLOAT64, 0)
    shape[0] = widest
    cdef cnp.ndarray order = cnp.PyArray_EMPTY(1, shape, cnp.NPY_INT64, 0)
    cdef int64_t *choice = <int64_t *>cnp.PyArray_DATA(choices)
    cdef pcg64_stream *stream = <pcg64_stream *>cnp.PyArray_DATA(after)
    cdef double *sample = <double *>cnp.PyArray_DATA(samples)
    cdef int64_t *scratch = <int64_t *>cnp.PyArray_DATA(order)
    cdef int64_t start
    with nogil:
        for i in range(k):
            stream[i] = (<const pcg64_stream *>&states[i, 0])[0]
            start = offsets[i]
            choice[i] = choose_one(&stream[i], &means[start], &precisions[start], &observations[start],
                                   explorations[i], offsets[i + 1] - start, scratch, &sample[start])
    return choices, samples, after
