"""PCG64 streams in C, for the kernels that draw from them."""

from libc.stdint cimport uint32_t, uint64_t
from numpy.random cimport bitgen_t

cdef extern from "pcg64.h" nogil:
    ctypedef struct pcg64_word:
        pass
    ctypedef struct pcg64_stream:
        pcg64_word state
        pcg64_word increment
        uint32_t buffered
        uint32_t half
    pcg64_word pcg64_join(uint64_t high, uint64_t low)
    uint64_t pcg64_high(pcg64_word word)
    uint64_t pcg64_low(pcg64_word word)
    uint64_t pcg64_next64(void *stream)
    uint32_t pcg64_below_or_at(pcg64_stream *stream, uint32_t most)
    bitgen_t pcg64_bitgen(pcg64_stream *stream)
    int pcg64_read_decimal(const char **text, pcg64_word *word)
    int pcg64_write_decimal(pcg64_word word, char *text)


# A row of a state matrix: state high, state low, increment high, increment low, has_uint32, uinteger.
cdef inline pcg64_stream load(const uint64_t *row) noexcept nogil:
    cdef pcg64_stream stream
    stream.state = pcg64_join(row[0], row[1])
    stream.increment = pcg64_join(row[2], row[3])
    stream.buffered = <uint32_t>row[4]
    stream.half = <uint32_t>row[5]
    return stream


cdef inline void store(const pcg64_stream *stream, uint64_t *row) noexcept nogil:
    row[0] = pcg64_high(stream.state)
    row[1] = pcg64_low(stream.state)
    row[2] = pcg64_high(stream.increment)
    row[3] = pcg64_low(stream.increment)
    row[4] = stream.buffered
    row[5] = stream.half
