"""PCG64 streams in C, for the kernels that draw from them."""

from libc.stdint cimport uint32_t, uint64_t
from numpy.random cimport bitgen_t

cdef extern from "pcg64.h" nogil:
    ctypedef struct pcg64_word:
        pass
    ctypedef struct pcg64_stream:
        uint64_t state_high
        uint64_t state_low
        uint64_t increment_high
        uint64_t increment_low
        uint64_t buffered
        uint64_t half
    pcg64_word pcg64_join(uint64_t high, uint64_t low)
    uint64_t pcg64_high(pcg64_word word)
    uint64_t pcg64_low(pcg64_word word)
    uint64_t pcg64_next64(void *stream)
    uint32_t pcg64_up_to(pcg64_stream *stream, uint32_t most)
    bitgen_t pcg64_bitgen(pcg64_stream *stream)
    int pcg64_read_decimal(const char **text, pcg64_word *word)
    int pcg64_write_decimal(pcg64_word word, char *text)
