"""What is believed of the batch sizes of a job, in C, for the kernels that decide by it."""

from libc.stdint cimport int64_t

# What is known of a batch size, a row of doubles. Counts may be fractions, as what is old fades.
cdef enum:
    SUCCESSES = 0         # trainings that converged,
    EPOCHS = 1            # the epochs that they took,
    MEAN_EPOCHS = 2       # the mean of their logarithms
    SQUARES_EPOCHS = 3    # and the sum of squares about it
    FAILURES = 4          # trainings that went on and did not converge,
    FAILED_EPOCHS = 5     # the epochs that they took
    RUNS = 6              # all with a result,
    RUN_EPOCHS = 7        # the epochs that they took,
    TIME = 8              # seconds
    ENERGY = 9            # and joules;
    MEAN_RATE = 10        # the mean of the logarithms of seconds an epoch
    SQUARES_RATE = 11     # and the sum of squares about it
    BOUND = 12            # the logarithm of epochs that it is known to need more than, -inf if none
    STOPS = 13            # how often a training was stopped or failed to converge,
    RETRY = 14            # and the trial from which on it may be probed again
    RUNNING = 15          # trainings that run
    INHERITED_FROM = 16   # whose past has shown something of it, 0 if nobody's:
    INHERITED_TIME = 17   # seconds an epoch,
    INHERITED_ENERGY = 18 # joules an epoch,
    INHERITED_EPOCHS = 19 # the logarithm of epochs
    INHERITED_DOUBT = 20  # and the variance of that
    WIDTH = 21

# Whose past is inherited; that of all batch sizes is the same one's.
cdef enum:
    NOBODYS = 0
    ANOTHERS = 1  # another job's
    OWN = 2       # the job's own, before its costs drifted

# A Gaussian of the logarithms of what n batch sizes need: of joules of cost an epoch, and of epochs. The m-th
# is an offset between jobs, where another's past is inherited: m is n or n + 1.
cdef struct beliefs:
    int64_t n
    int64_t m
    double *rate          # means (m)
    double *rate_spread   # covariances (m, m)
    double *epochs
    double *epochs_spread
    double noise          # variance of the logarithm of what one training costs
    double epochs_noise   # that part of it which is of epochs
    double evidence       # the logarithm of the density of what was seen

cdef Py_ssize_t room_of(int64_t n) noexcept nogil
cdef void place(beliefs *of, int64_t n, double *room) noexcept nogil
cdef void prepare(
    const double *positions, int64_t n, int64_t default, double *rate_prior, double *epochs_prior
) noexcept nogil
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
) noexcept nogil
cdef double observe(double *means, double *spread, int64_t m, int64_t i, int64_t offset, double seen,
                    double variance) noexcept nogil
cdef void above(double mean, double variance, double bound, double softness, double *higher,
                double *narrower) noexcept nogil
cdef double improvement(double above, double deviation) noexcept nogil
cdef double normal_mass(double z) noexcept nogil
cdef double rate_of(const double *row, double energy_weight, double time_weight) noexcept nogil
