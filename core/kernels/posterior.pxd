"""The fit of one arm in C, for the kernels that fit as they go."""

cdef void fit_as_numpy(
    const double *rewards,  # IN
    Py_ssize_t n,
    double prior_mean,
    double prior_precision,
    double *mean,              # OUT
    double *precision,         # OUT
    double *reward_precision,  # OUT
) noexcept nogil
