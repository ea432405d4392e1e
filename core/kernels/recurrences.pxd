"""What plays the recurrences of jobs in C, and what a policy gives it to decide with."""

from libc.stdint cimport int64_t, uint64_t

from core.kernels.stream cimport pcg64_stream

cdef enum:
    ENDED = 0       # the job has recurred as often as it should
    STUCK = -1      # it has no batch size left, or never comes to an end
    BEYOND = -2     # it needs more than this kernel plays


cdef enum:
    GOES_ON = 0
    CONVERGED = 1
    FAILED = 2


# What a training says after an epoch; where it fails and no other is left, `epoch` is the job's last.
cdef struct report:
    int64_t size      # index of its batch size
    int64_t epoch     # from 1
    double time       # seconds, since it began
    double energy     # joules
    double cost       # and joules of cost
    double metric     # the best level that it has reached
    bint is_reached   # that is the target, or better
    bint is_last      # no epoch is left


# How a policy decides on one job; the job's state is its own, and made new by `begin`.
cdef struct policy:
    void (*begin)(void *job, const pcg64_stream *stream) noexcept nogil
    int64_t (*suggest)(void *job) noexcept nogil  # the index of a batch size, or STUCK, or BEYOND
    int (*judge)(void *job, const report *said) noexcept nogil  # GOES_ON, CONVERGED or FAILED
    void (*learn)(void *job, const report *said, bint converged) noexcept nogil  # of the last report


# What trainings are drawn from.
cdef struct workload:
    int64_t sizes
    int64_t max_epochs
    const int64_t *offsets   # the runs of each batch size
    const double *times      # of each run: seconds an epoch
    const double *energies   # joules an epoch
    const int64_t *lengths   # epochs
    const double *curves     # the metric after each of max_epochs
    double target
    bint is_higher_better
    double noise
    double energy_weight     # joules of cost by joules
    double time_weight       # and by seconds


cdef class Trainings:
    """What trainings are drawn from, checked."""

    cdef workload read
    cdef tuple _held


cdef play(
    const policy *decides,
    void *job,
    Trainings before,
    Trainings after,
    int64_t change,
    const uint64_t[:, :, ::1] chances,
    const uint64_t[:, ::1] streams,
    int64_t recurrences,
)
