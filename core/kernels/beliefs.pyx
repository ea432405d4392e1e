"""What is believed of the batch sizes of a job: joules an epoch, and epochs to the target.

Both are log-Gaussian over the logarithm of the batch size: a slope, a smooth deviation from it and a rough one
a batch size. What a training costs an epoch is known as soon as one is over, whatever becomes of the training;
the epochs of one that was stopped are known to be more than a bound. Observations come one by one, each a
rank-one update.

Source: C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006, sections 2.2 and
2.7; what is only bounded by moment matching, T. P. Minka, "Expectation Propagation for Approximate Bayesian
Inference", UAI 2001.
"""

from libc.math cimport INFINITY, M_PI, erfc, exp, log, sqrt
from libc.stdint cimport int64_t

# An epoch's cost over octaves of the batch size, as most GPUs have it: larger batches use them better, until
# they are full. Of its scale nothing is known.
cdef double RATE_SLOPE = -0.35
cdef double RATE_SLOPE_DEVIATION = 0.3
cdef double RATE_SMOOTH = 0.2
cdef double RATE_OCTAVES = 2.0
cdef double RATE_ROUGH = 0.03
cdef double RATE_SCALE = 10.0
cdef double LEAST_RATE = 1e-200  # where only joules count, and none were measured
# Epochs to the target: they rise towards large batches, and sometimes towards small ones.
cdef double EPOCHS_SCALE_MEAN = 2.3  # ten
cdef double EPOCHS_SCALE = 1.5
cdef double EPOCHS_SLOPE = 0.1
cdef double EPOCHS_SLOPE_DEVIATION = 0.2
cdef double EPOCHS_SMOOTH = 0.5
cdef double EPOCHS_OCTAVES = 3.0
cdef double EPOCHS_ROUGH = 0.1
# How trainings of one batch size scatter, pooled over the batch sizes, before anything is seen of it.
cdef double EPOCHS_NOISE = 0.12
cdef double RATE_NOISE = 0.02
cdef double NOISE_WEIGHT = 4.0  # in results
cdef double LEAST_NOISE = 0.03
cdef double SOFTNESS = 0.15     # of a bound
# Between a job and one that it inherits from: of the whole, and of each batch size.
cdef double RATE_OFFSET = 10.0
cdef double EPOCHS_OFFSET = 0.3
cdef double RATE_DOUBT = 0.07
cdef double EPOCHS_DOUBT = 0.1
# What a drift may change, of an epoch's cost and of epochs alike: the whole, the slope, and each batch size.
cdef double DRIFT_LEVEL = 0.15
cdef double DRIFT_SLOPE = 0.1
cdef double DRIFT_ROUGH = 0.1


cdef inline double normal_density(double z) noexcept nogil:
    return exp(-0.5 * z * z) / sqrt(2 * M_PI)


cdef double normal_mass(double z) noexcept nogil:
    """The mass of a standard Gaussian below z."""
    return 0.5 * erfc(-z / sqrt(2.0))


cdef void above(double mean, double variance, double bound, double softness, double *higher,
                double *narrower) noexcept nogil:
    """Mean and variance of a Gaussian given that it lies above a bound, give or take the softness."""
    cdef double scale = sqrt(variance + softness * softness), z = (mean - bound) / scale
    cdef double hazard
    if z < -37:  # where the mass above is soon too small for a number
        hazard = -z - 1 / z + 2 / z**3 - 10 / z**5
    else:
        hazard = normal_density(z) / normal_mass(z)
    higher[0] = mean + variance / scale * hazard
    narrower[0] = max(variance - variance * variance / (scale * scale) * hazard * (hazard + z), 1e-9)


cdef double improvement(double above, double deviation) noexcept nogil:
    """How far below zero a Gaussian of mean ``above`` is expected to lie, where it does, else 0.

    Source: D. R. Jones et al., "Efficient Global Optimization of Expensive Black-Box Functions", 1998.
    """
    if deviation < 1e-9:
        return max(-above, 0.0)
    cdef double z = -above / deviation
    return deviation * normal_density(z) - above * normal_mass(z)


cdef Py_ssize_t room_of(int64_t n) noexcept nogil:
    """How many doubles the beliefs of n batch sizes take."""
    return 2 * (n + 1) * (n + 2)


cdef void place(beliefs *of, int64_t n, double *room) noexcept nogil:
    """Put the arrays of beliefs into room for them."""
    of.n = n
    of.rate = room
    of.epochs = room + n + 1
    of.rate_spread = room + 2 * (n + 1)
    of.epochs_spread = of.rate_spread + (n + 1) * (n + 1)


cdef void prepare(
    const double *positions, int64_t n, int64_t default, double *rate_prior, double *epochs_prior
) noexcept nogil:
    """Write the covariances before anything is seen; positions are in octaves."""
    cdef int64_t i, j
    cdef double a, b, apart
    for i in range(n):
        for j in range(n):
            a, b = positions[i] - positions[default], positions[j] - positions[default]
            apart = a - b
            rate_prior[i * n + j] = (
                RATE_SCALE**2 + RATE_SLOPE_DEVIATION**2 * a * b
                + RATE_SMOOTH**2 * exp(-0.5 * (apart / RATE_OCTAVES) ** 2) + (RATE_ROUGH**2 if i == j else 0.0)
            )
            epochs_prior[i * n + j] = (
                EPOCHS_SCALE**2 + EPOCHS_SLOPE_DEVIATION**2 * a * b
                + EPOCHS_SMOOTH**2 * exp(-0.5 * (apart / EPOCHS_OCTAVES) ** 2)
                + (EPOCHS_ROUGH**2 if i == j else 0.0)
            )


cdef void begin(double *means, double *spread, int64_t n, int64_t m, const double *prior, double offset) noexcept nogil:
    cdef int64_t i, j
    for i in range(n):
        for j in range(n):
            spread[i * m + j] = prior[i * n + j]
    if m > n:
        for i in range(n):
            spread[i * m + n] = spread[n * m + i] = 0.0
        spread[n * m + n] = offset * offset
        means[n] = 0.0


cdef double observe(double *means, double *spread, int64_t m, int64_t i, int64_t offset, double seen,
                    double variance) noexcept nogil:
    """Take in the i-th element, or with an offset >= 0 its sum with that; return the log density of it."""
    cdef double[66] gain  # m is at most 65
    cdef double scale, step, missed = seen - means[i]
    cdef double *row
    cdef int64_t a, b
    scale = spread[i * m + i] + variance
    for a in range(m):
        gain[a] = spread[i * m + a]
    if offset >= 0:
        missed -= means[offset]
        scale += 2 * spread[i * m + offset] + spread[offset * m + offset]
        for a in range(m):
            gain[a] += spread[offset * m + a]
    for a in range(m):
        step = gain[a] / scale
        means[a] += step * missed
        row = spread + a * m
        for b in range(m):
            row[b] -= step * gain[b]
    return -0.5 * (log(2 * M_PI * scale) + missed * missed / scale)


cdef double rate_of(const double *row, double energy_weight, double time_weight) noexcept nogil:
    """Joules of cost an epoch, as they were seen."""
    return max((energy_weight * row[ENERGY] + time_weight * row[TIME]) / row[RUN_EPOCHS], LEAST_RATE)


cdef double level_of(
    const double *known, int64_t n, const double *positions, int64_t default, double energy_weight, double time_weight
) noexcept nogil:
    """The logarithm of an epoch's cost at the default, as the first row with a result has it."""
    cdef int64_t i
    for i in range(n):
        if known[i * WIDTH + RUNS] > 0:
            return log(rate_of(known + i * WIDTH, energy_weight, time_weight)) - RATE_SLOPE * (
                positions[i] - positions[default]
            )
    return 0.0


cdef void weigh_noise(beliefs *of, const double *known) noexcept nogil:
    """Pool how trainings scatter over the batch sizes; a scaled inverse chi-squared prior."""
    cdef double epochs = NOISE_WEIGHT * EPOCHS_NOISE**2, rates = NOISE_WEIGHT * RATE_NOISE**2
    cdef double epochs_weight = NOISE_WEIGHT, rates_weight = NOISE_WEIGHT
    cdef const double *row
    cdef int64_t i
    for i in range(of.n):
        row = known + i * WIDTH
        if row[SUCCESSES] > 1:
            epochs += row[SQUARES_EPOCHS]
            epochs_weight += row[SUCCESSES] - 1
        if row[RUNS] > 1:
            rates += row[SQUARES_RATE]
            rates_weight += row[RUNS] - 1
    of.epochs_noise = max(epochs / epochs_weight, LEAST_NOISE**2)
    of.noise = of.epochs_noise + rates / rates_weight


cdef void inherit(
    beliefs *of, const double *known, double energy_weight, double time_weight
) noexcept nogil:
    """Take in what a past has shown, but for an offset where it is another job's."""
    cdef const double *row
    cdef double rate
    cdef int64_t i, offset = of.n if of.m > of.n else -1
    for i in range(of.n):
        row = known + i * WIDTH
        if row[INHERITED_FROM] == NOBODYS:
            continue
        rate = max(energy_weight * row[INHERITED_ENERGY] + time_weight * row[INHERITED_TIME], LEAST_RATE)
        observe(of.rate, of.rate_spread, of.m, i, offset, log(rate), RATE_DOUBT**2 + row[INHERITED_DOUBT])
        observe(of.epochs, of.epochs_spread, of.m, i, offset, row[INHERITED_EPOCHS],
                EPOCHS_DOUBT**2 + row[INHERITED_DOUBT])


cdef void widen(beliefs *of, const double *positions, int64_t default) noexcept nogil:
    """Doubt what was believed before a drift, by what it may have changed."""
    cdef int64_t i, j
    cdef double variance
    for i in range(of.n):
        for j in range(of.n):
            variance = (
                DRIFT_LEVEL**2
                + DRIFT_SLOPE**2 * (positions[i] - positions[default]) * (positions[j] - positions[default])
                + (DRIFT_ROUGH**2 if i == j else 0.0)
            )
            of.rate_spread[i * of.m + j] += variance
            of.epochs_spread[i * of.m + j] += variance


cdef void fit(
    beliefs *of,                 # OUT
    const double *known,         # IN (n, WIDTH)
    const double *positions,     # IN
    int64_t default,
    double energy_weight,
    double time_weight,
    const double *rate_prior,    # IN (n, n)
    const double *epochs_prior,  # IN (n, n)
    int64_t inherited_from,
) noexcept nogil:
    """Believe what is known and, before it, what was inherited from a past."""
    cdef const double *row
    cdef int64_t i, n = of.n
    cdef double higher, narrower, precision, density, variance
    cdef double level = level_of(known, n, positions, default, energy_weight, time_weight)
    cdef bint is_first = True
    of.m = n + 1 if inherited_from == ANOTHERS else n
    cdef int64_t m = of.m
    weigh_noise(of, known)
    for i in range(n):
        of.rate[i] = level + RATE_SLOPE * (positions[i] - positions[default])
        of.epochs[i] = EPOCHS_SCALE_MEAN + EPOCHS_SLOPE * (positions[i] - positions[default])
    begin(of.rate, of.rate_spread, n, m, rate_prior, RATE_OFFSET)
    begin(of.epochs, of.epochs_spread, n, m, epochs_prior, EPOCHS_OFFSET)
    if inherited_from != NOBODYS:
        inherit(of, known, energy_weight, time_weight)
    if inherited_from == OWN:
        widen(of, positions, default)
    of.evidence = 0.0
    for i in range(n):
        row = known + i * WIDTH
        if row[RUNS] > 0:
            density = observe(of.rate, of.rate_spread, m, i, -1, log(rate_of(row, energy_weight, time_weight)),
                              (of.noise - of.epochs_noise) / row[RUNS] + 1e-6)
            if not is_first:  # which only gives the scale
                of.evidence += density
            is_first = False
    for i in range(n):
        row = known + i * WIDTH
        if row[SUCCESSES] > 0:  # the epochs of a failure are a part of what a success takes
            of.evidence += observe(of.epochs, of.epochs_spread, m, i, -1,
                                   log((row[EPOCHS] + row[FAILED_EPOCHS]) / row[SUCCESSES]),
                                   of.epochs_noise / row[SUCCESSES])
    for i in range(n):
        row = known + i * WIDTH
        if row[SUCCESSES] > 0 or row[BOUND] == -INFINITY:
            continue
        variance = of.epochs_spread[i * m + i]
        of.evidence += log(max(
            normal_mass((of.epochs[i] - row[BOUND]) / sqrt(variance + SOFTNESS**2)), 1e-9
        ))
        above(of.epochs[i], variance, row[BOUND], SOFTNESS, &higher, &narrower)
        if narrower < variance * 0.9999:
            precision = 1 / narrower - 1 / variance
            observe(of.epochs, of.epochs_spread, m, i, -1,
                    (higher / narrower - of.epochs[i] / variance) / precision, 1 / precision)
