"""Gaussian posterior fits of many arms, over ragged segments of rewards.

Reward model: Gaussian with unknown mean and a precision r estimated from the arm's n rewards, the reciprocal
of their population variance; conjugate Gaussian prior (m0, p0) on the mean. Posterior precision p0 + n r, mean
(p0 m0 + r sum) / (p0 + n r). Source: K. P. Murphy, "Conjugate Bayesian analysis of the Gaussian distribution",
2007, section 2; You et al., "Zeus", NSDI '23, section 4.3.

``fit`` rounds as NumPy does, bit for bit; ``fit_compensated`` rounds next to nothing.
"""

import numpy as np

from libc.math cimport INFINITY
from libc.stdint cimport int64_t

cdef extern from *:
    void __builtin_prefetch(const void *address) nogil


ctypedef void (*fit_one)(const double *, Py_ssize_t, double, double, double *, double *, double *) noexcept nogil


# --- as NumPy rounds ---------------------------------------------------------------------------------------
# np.add.reduce sums pairwise: halves down to blocks of 128, a block in 8 accumulators. The same shape serves
# both passes of np.var, the sum of x and the sum of (x - mean)^2; the compiler makes two loops of it.

cdef inline double term(double x, double mean, bint squared) noexcept nogil:
    if squared:
        x = x - mean
        return x * x
    return x


cdef inline double sum_block(const double *x, Py_ssize_t n, double mean, bint squared) noexcept nogil:
    cdef double total
    cdef double[8] r
    cdef Py_ssize_t i, j
    if n < 8:
        total = -0.0
        for i in range(n):
            total += term(x[i], mean, squared)
        return total
    for j in range(8):
        r[j] = term(x[j], mean, squared)
    for i in range(8, n - n % 8, 8):
        for j in range(8):
            r[j] += term(x[i + j], mean, squared)
    total = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
    for i in range(n - n % 8, n):
        total += term(x[i], mean, squared)
    return total


cdef double sum_pairwise(const double *x, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t half
    if n <= 128:
        return sum_block(x, n, 0.0, False)
    half = n // 2
    half -= half % 8
    return sum_pairwise(x, half) + sum_pairwise(x + half, n - half)


cdef double sum_squares_pairwise(const double *x, Py_ssize_t n, double mean) noexcept nogil:
    cdef Py_ssize_t half
    if n <= 128:
        return sum_block(x, n, mean, True)
    half = n // 2
    half -= half % 8
    return sum_squares_pairwise(x, half, mean) + sum_squares_pairwise(x + half, n - half, mean)


cdef void fit_as_numpy(
    const double *rewards,  # IN
    Py_ssize_t n,
    double prior_mean,
    double prior_precision,
    double *mean,              # OUT
    double *precision,         # OUT
    double *reward_precision,  # OUT
) noexcept nogil:
    cdef double total = sum_pairwise(rewards, n)
    cdef double sample_mean = total / n
    reward_precision[0] = 1.0 / (sum_squares_pairwise(rewards, n, sample_mean) / n)
    if reward_precision[0] == INFINITY:
        precision[0] = INFINITY
        mean[0] = sample_mean
    else:
        precision[0] = prior_precision + n * reward_precision[0]
        mean[0] = (prior_precision * prior_mean + reward_precision[0] * total) / precision[0]


# --- compensated -------------------------------------------------------------------------------------------
# T. Ogita, S. M. Rump, S. Oishi, "Accurate Sum and Dot Product", SIAM J. Sci. Comput. 26(6), 2005.

cdef inline double two_sum(double a, double b, double *error) noexcept nogil:
    cdef double total = a + b
    cdef double shadow = total - a
    error[0] = (a - (total - shadow)) + (b - shadow)
    return total


cdef inline double two_product(double a, double b, double *error) noexcept nogil:
    # Veltkamp's split at 27 bits; exact for |a|, |b| below 2^996.
    cdef double c, a_high, a_low, b_high, b_low
    cdef double product = a * b
    c = 134217729.0 * a
    a_high = c - (c - a)
    a_low = a - a_high
    c = 134217729.0 * b
    b_high = c - (c - b)
    b_low = b - b_high
    error[0] = a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)
    return product


cdef void fit_exactly(
    const double *rewards,  # IN
    Py_ssize_t n,
    double prior_mean,
    double prior_precision,
    double *mean,              # OUT
    double *precision,         # OUT
    double *reward_precision,  # OUT
) noexcept nogil:
    cdef double total = 0.0, carry = 0.0, error, sample_mean, mean_error, product, deviation
    cdef double squares = 0.0, squares_carry = 0.0, evidence, weight
    cdef Py_ssize_t i
    for i in range(n):
        total = two_sum(total, rewards[i], &error)
        carry += error
    total = two_sum(total, carry, &carry)
    # The sample mean to twice the precision: the quotient, and what its product with n leaves over.
    sample_mean = total / n
    product = two_product(sample_mean, <double>n, &error)
    sample_mean = two_sum(sample_mean, (((total - product) - error) + carry) / n, &mean_error)
    for i in range(n):
        deviation = two_sum(rewards[i], -sample_mean, &error)
        deviation += error - mean_error
        squares = two_sum(squares, deviation * deviation, &error)
        squares_carry += error
    squares += squares_carry
    if squares == 0.0:
        reward_precision[0] = INFINITY
        precision[0] = INFINITY
        mean[0] = sample_mean
        return
    reward_precision[0] = n / squares
    evidence = n * reward_precision[0]
    precision[0] = prior_precision + evidence
    # From whichever mean weighs more towards the other, so that a large common offset cancels exactly.
    if evidence >= prior_precision:
        weight = prior_precision / precision[0]
        mean[0] = sample_mean + weight * (prior_mean - sample_mean)
    else:
        weight = evidence / precision[0]
        mean[0] = prior_mean + weight * (sample_mean - prior_mean)
    mean[0] = min(max(mean[0], min(prior_mean, sample_mean)), max(prior_mean, sample_mean))


# --- faces -------------------------------------------------------------------------------------------------

# Arms are so short that reading would stop and go: rewards are fetched 2 KiB before they are due. A fetch from
# behind the end does nothing.
cdef Py_ssize_t AHEAD = 256


cdef fit_segments(
    fit_one kernel,
    const double[::1] rewards,
    const int64_t[::1] offsets,
    const double[::1] prior_means,
    const double[::1] prior_precisions,
):
    cdef Py_ssize_t k = offsets.shape[0] - 1
    cdef Py_ssize_t i
    if k < 0 or offsets[0] != 0 or offsets[k] != rewards.shape[0]:
        raise ValueError("offsets must run from 0 to the number of rewards")
    if prior_means.shape[0] != k or prior_precisions.shape[0] != k:
        raise ValueError("prior_means and prior_precisions must have one element a segment")
    for i in range(k):
        if offsets[i + 1] < offsets[i]:
            raise ValueError("offsets must not fall")
    means_array = np.empty(k)
    precisions_array = np.empty(k)
    reward_precisions_array = np.empty(k)
    cdef double[::1] means = means_array
    cdef double[::1] precisions = precisions_array
    cdef double[::1] reward_precisions = reward_precisions_array
    with nogil:
        for i in range(k):
            if offsets[i + 1] == offsets[i]:
                means[i] = prior_means[i]
                precisions[i] = prior_precisions[i]
                reward_precisions[i] = 0.0
            else:
                __builtin_prefetch(&rewards[offsets[i]] + AHEAD)
                kernel(&rewards[offsets[i]], offsets[i + 1] - offsets[i], prior_means[i],
                       prior_precisions[i], &means[i], &precisions[i], &reward_precisions[i])
    return means_array, precisions_array, reward_precisions_array


def fit(
    const double[::1] rewards,
    const int64_t[::1] offsets,
    const double[::1] prior_means,
    const double[::1] prior_precisions,
):
    """Fit k arms as policy ``zeus`` does, equal to NumPy's ``var``, ``mean`` and ``sum`` to the last bit.

    An arm without rewards keeps its prior, at reward precision 0. Where the variance is 0, or so small that
    its reciprocal overflows, the mean is the sample mean and both precisions are infinite.

    Args:
        rewards: float64 (n), joules; arm i's are ``offsets[i]:offsets[i + 1]``.
        offsets: int64 (k + 1), from 0 to n, not falling.
        prior_means: float64 (k), joules.
        prior_precisions: float64 (k), joules^-2, at least 0.

    Returns:
        Posterior means, posterior precisions and reward precisions, float64 (k) each.

    Raises:
        ValueError: The shapes do not fit each other.
    """
    return fit_segments(fit_as_numpy, rewards, offsets, prior_means, prior_precisions)


def fit_compensated(
    const double[::1] rewards,
    const int64_t[::1] offsets,
    const double[::1] prior_means,
    const double[::1] prior_precisions,
):
    """Fit k arms like ``fit``, in compensated arithmetic.

    For up to 2^20 rewards of 0 or a magnitude from 1e-100 to 1e100 and priors of magnitude up to 1e100: the
    precisions are within 10 units in the last place of the exact ones, and infinite exactly where all rewards
    are equal. The mean is within 10 units in the last place of the larger of prior and sample mean, and n^2
    2^-106 of the largest reward, which tells only where rewards of opposite signs cancel; it lies between the
    prior mean and the sample mean (the result at prior precision 0), and is the latter where that is 0.

    Arguments, result and errors are those of ``fit``.
    """
    return fit_segments(fit_exactly, rewards, offsets, prior_means, prior_precisions)
