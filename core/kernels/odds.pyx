"""The chance of each arm that it is the best: that its mean reward is the highest of its job's arms.

Means are independent, Gaussian by their posteriors. The chance that arm i is the best one is the integral over x
of phi_i(x) times the product of Phi_j(x) over the other arms: density and distribution function of means. All
arms of a job share the nodes of one quadrature, as phi_i prod Phi_j is F phi_i / Phi_i, F the product over all.

From the highest point b at which some arm's mean is 6 deviations below its posterior mean (below b, F is less
than 1e-9), an arm that still matters at a distance d beyond b has a deviation of d / 14 or more: what varies
fast does so close to b. The double exponential substitution x = b + w exp(t - exp(-t)), w the least deviation,
makes one scale of all; there the trapezoidal rule converges exponentially in its step.

Sources: D. Russo et al., "A Tutorial on Thompson Sampling", 2018, section 3 (the chance is that of being
chosen); H. Takahasi, M. Mori, "Double exponential formulas for numerical integration", Publ. RIMS 9(3), 1974.
"""

cimport numpy as cnp
from libc.math cimport INFINITY, erfc, exp, isfinite, ldexp, log, sqrt
from libc.stdint cimport int64_t

# Deviations: where an arm begins to count, and where it is certain to lie below.
cdef double BELOW = 6.0
cdef double ABOVE = 7.5
# At 1/48 the rule is 1e-8 off for 1,000 arms, and less for fewer; from the first t, 1e-13 w is left out.
cdef double STEP = 1.0 / 48.0
cdef double FIRST = -3.3
# Of F: the nodes before add nothing.
cdef double NEGLIGIBLE = 1e-30

cdef double SQRT_HALF = 0.70710678118654752440
cdef double SQRT_TWO_PI = 2.5066282746310005024

cnp.import_array()


cdef inline double deviation_of(double precision) noexcept nogil:
    return sqrt(1.0 / precision)


cdef inline double chance_below(double z) noexcept nogil:
    return 0.5 * erfc(-z * SQRT_HALF)


cdef void integrate(
    const double *gaps,        # IN, from each posterior mean up to b
    const double *deviations,  # IN, 0 where an arm is certain to lie at b or below; its gap is 0
    int64_t n,
    double *ratios,            # scratch
    double *odds,              # OUT
) noexcept nogil:
    """Integrate F phi_i / Phi_i over what lies beyond b, for each of n arms."""
    cdef double least = INFINITY, span = 0.0, distance = 0.0, t = FIRST, shrink, weight, below, z
    cdef int64_t i
    for i in range(n):
        odds[i] = 0.0
        if deviations[i] > 0.0:
            least = min(least, deviations[i])
            span = max(span, ABOVE * deviations[i] - gaps[i])
    least = log(least)
    while distance < span:
        shrink = exp(-t)
        distance = exp(least + t - shrink)
        weight = STEP * distance * (1.0 + shrink) / SQRT_TWO_PI
        t += STEP
        for i in range(n):
            z = (distance + gaps[i]) / deviations[i]
            if z > ABOVE:
                ratios[i] = 0.0
                continue
            below = chance_below(z)
            weight *= below
            if weight < NEGLIGIBLE * distance:
                break
            ratios[i] = exp(-0.5 * z * z) / below
        else:
            for i in range(n):
                if ratios[i] > 0.0:
                    odds[i] += weight / deviations[i] * ratios[i]


cdef int64_t first_of(const double *means, const double *precisions, int64_t n, int64_t *num_flat) noexcept nogil:
    """Return the arm whose posterior mean is 6 deviations above b, or -1 where all are flat."""
    cdef int64_t i, first = -1
    num_flat[0] = 0
    for i in range(n):
        if deviation_of(precisions[i]) == INFINITY:
            num_flat[0] += 1
        # Differences of means are exact where it matters; means less deviations would not be.
        elif first < 0 or means[i] - means[first] > BELOW * (
            deviation_of(precisions[i]) - deviation_of(precisions[first])
        ):
            first = i
    return first


cdef void best_of_one(
    const double *means,       # IN
    const double *precisions,  # IN
    int64_t n,
    double *scratch,           # 3 n
    double *odds,              # OUT
) noexcept nogil:
    cdef double *gaps = scratch
    cdef double *deviations = scratch + n
    cdef int64_t i, num_flat, num_points = 0
    cdef int64_t first = first_of(means, precisions, n, &num_flat)
    cdef double nearest, total = 0.0, all_below = 1.0, rest = ldexp(1.0, <int>-num_flat)
    if first < 0:
        for i in range(n):
            odds[i] = 1.0 / n
        return
    nearest = deviation_of(precisions[first])
    for i in range(n):
        gaps[i] = means[first] - means[i] - BELOW * nearest
        deviations[i] = deviation_of(precisions[i])
        if deviations[i] == 0.0 and gaps[i] == 0.0:
            num_points += 1
        if deviations[i] == INFINITY or gaps[i] >= ABOVE * deviations[i]:
            gaps[i], deviations[i] = 0.0, 0.0
        else:
            all_below *= chance_below(gaps[i] / deviations[i])
    integrate(gaps, deviations, n, scratch + 2 * n, odds)
    for i in range(n):
        # Where b is not a known mean, one below it is the best with a chance that is less than 1e-9.
        if num_points > 0 and means[i] == means[first] and precisions[i] == INFINITY:
            odds[i] = all_below / num_points
        total += odds[i]
    for i in range(n):
        odds[i] *= rest / total
        if deviation_of(precisions[i]) == INFINITY:
            odds[i] = (1.0 - rest) / num_flat


def best(const int64_t[::1] offsets, const double[::1] means, const double[::1] precisions):
    """Return the chance of each of n arms that it is the best of its job, within 1e-6; a job's add up to 1.

    An arm of infinite precision is known to have its mean; those that are the best together share the chance
    equally. An arm of precision 0 (or one whose reciprocal overflows), of which nothing is known, is taken as
    the limit of arms of ever less precision: as likely above all the others as below them, several in turn.

    Args:
        offsets: int64 (k + 1), job i's arms are ``offsets[i]:offsets[i + 1]``, from 0 to n, not falling.
        means: float64 (n), posterior means, finite.
        precisions: float64 (n), posterior precisions, at least 0.

    Returns:
        Chances, float64 (n).

    Raises:
        ValueError: The shapes do not fit each other, a mean is not finite, or a precision not 0 or more.
    """
    cdef Py_ssize_t k = offsets.shape[0] - 1
    cdef Py_ssize_t n = means.shape[0]
    cdef Py_ssize_t i
    cdef cnp.npy_intp widest = 0, length = n
    if k < 0 or offsets[0] != 0 or offsets[k] != n:
        raise ValueError("offsets must run from 0 to the number of arms")
    if precisions.shape[0] != n:
        raise ValueError("means and precisions must be equally long")
    for i in range(k):
        if offsets[i + 1] < offsets[i]:
            raise ValueError("offsets must not fall")
        widest = max(widest, offsets[i + 1] - offsets[i])
    for i in range(n):
        if not isfinite(means[i]) or not precisions[i] >= 0.0:
            raise ValueError("means must be finite and precisions 0 or more")
    widest *= 3
    cdef cnp.ndarray odds = cnp.PyArray_EMPTY(1, &length, cnp.NPY_FLOAT64, 0)
    cdef cnp.ndarray room = cnp.PyArray_EMPTY(1, &widest, cnp.NPY_FLOAT64, 0)
    cdef double *chance = <double *>cnp.PyArray_DATA(odds)
    cdef double *scratch = <double *>cnp.PyArray_DATA(room)
    cdef int64_t start
    with nogil:
        for i in range(k):
            start = offsets[i]
            if start < offsets[i + 1]:
                best_of_one(&means[start], &precisions[start], offsets[i + 1] - start, scratch, &chance[start])
    return odds
