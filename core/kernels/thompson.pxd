"""The Thompson step of one job in C, for the kernels that take many of one job after another."""

from libc.stdint cimport int64_t

from core.kernels.stream cimport pcg64_stream

cdef int64_t choose_one(
    pcg64_stream *stream,         # IN, OUT
    const double *means,          # IN
    const double *precisions,     # IN
    const int64_t *observations,  # IN
    int64_t explorations,
    int64_t n,
    int64_t *order,               # scratch
    double *samples,              # OUT, NaN where none was drawn
) noexcept nogil
