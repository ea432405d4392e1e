"""The decisions of policy ``frugal`` in C, for the kernel that plays many of them."""

from libc.stdint cimport int64_t

from core.kernels.beliefs cimport beliefs
from core.kernels.stream cimport pcg64_stream

cdef enum:
    MOST_SUSPECTS = 16

# How a training came to an end.
cdef enum:
    CONVERGED = 0
    BEYOND_BOUND = 1   # it cost beta times what the best one does
    OUT_OF_EPOCHS = 2
    HOPELESS = 3       # to go on was not worth what it would have cost

# Why a batch size is chosen.
cdef enum:
    DEFAULT = 0
    SOUGHT = 1
    PROBED = 2
    SAMPLED = 3

cdef struct result:
    int64_t size
    double epochs
    double time
    double energy
    int64_t ending
    double bound   # the logarithm of epochs that it needs more than, where it is hopeless

# Whether trainings cost what they are expected to: two cumulative sums, and the newest results since both were
# zero.
cdef struct watch:
    double dearer
    double cheaper
    int64_t count
    result[16] suspects

# A job: what is known, and what is made of it. Pointers are to arrays of its n batch sizes.
cdef struct mind:
    int64_t n
    int64_t default
    const double *positions  # octaves
    double *known            # (n, WIDTH)
    double energy_weight     # joules of cost by joules
    double time_weight       # and by seconds
    double *rate_prior       # (n, n)
    double *epochs_prior
    beliefs cold
    beliefs warm
    double warmth            # the weight of the warm ones
    watch watched

cdef Py_ssize_t room_of_mind(int64_t n) noexcept nogil
cdef void furnish(mind *of, int64_t n, int64_t default, const double *positions, double *room) noexcept nogil
cdef void consider(mind *of) noexcept nogil
cdef int64_t leader_of(const mind *of, const unsigned char *usable) noexcept nogil
cdef double cost_of(const mind *of, int64_t size) noexcept nogil
cdef int64_t choose_size(
    mind *of,                     # IN; the beliefs are spent
    int64_t number,
    double max_epochs,
    const unsigned char *usable,  # IN
    pcg64_stream *stream,         # IN, OUT
    double *samples,              # OUT, NaN where none was drawn
    int64_t *rule,                # OUT
    double *saving,               # OUT, joules
    double *price,                # OUT, joules
) noexcept nogil
cdef bint is_worth_it(
    const mind *of, int64_t leader, int64_t size, double epoch, double cost, double ahead, double *bound, double *rest
) noexcept nogil
cdef bint take_in(mind *of, const result *seen, int64_t number) noexcept nogil
