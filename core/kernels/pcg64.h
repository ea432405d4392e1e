/* PCG64 (PCG XSL RR 128/64) as NumPy's bit generator of that name runs it: the state is stepped, then the
 * new state is output; 32-bit draws take the low half of a 64-bit draw and keep the high half for the next.
 * Source: M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for
 * Random Number Generation", HMC-CS-2014-0905. */
#ifndef BATCHBANDIT_PCG64_H
#define BATCHBANDIT_PCG64_H

#include <stdint.h>
#include <numpy/random/bitgen.h>

typedef unsigned __int128 pcg64_word;

/* A row of a state matrix: kernels copy rows and draw in place. */
typedef struct {
    uint64_t state_high, state_low, increment_high, increment_low;
    uint64_t buffered; /* 1 where `half` holds an unused half word */
    uint64_t half;
} pcg64_stream;

#define PCG64_MULTIPLIER \
    (((pcg64_word)2549297995355413924ULL << 64) | (pcg64_word)4865540595714422341ULL)

static inline pcg64_word pcg64_join(uint64_t high, uint64_t low) {
    return ((pcg64_word)high << 64) | low;
}

static inline uint64_t pcg64_high(pcg64_word word) { return (uint64_t)(word >> 64); }

static inline uint64_t pcg64_low(pcg64_word word) { return (uint64_t)word; }

static inline uint64_t pcg64_next64(void *stream) {
    pcg64_stream *s = (pcg64_stream *)stream;
    pcg64_word state = pcg64_join(s->state_high, s->state_low) * PCG64_MULTIPLIER +
                       pcg64_join(s->increment_high, s->increment_low);
    s->state_high = pcg64_high(state);
    s->state_low = pcg64_low(state);
    uint64_t folded = s->state_high ^ s->state_low;
    unsigned int turn = (unsigned int)(s->state_high >> 58);
    return (folded >> turn) | (folded << ((-turn) & 63));
}

static inline uint32_t pcg64_next32(void *stream) {
    pcg64_stream *s = (pcg64_stream *)stream;
    if (s->buffered) {
        s->buffered = 0;
        return (uint32_t)s->half;
    }
    uint64_t word = pcg64_next64(stream);
    s->buffered = 1;
    s->half = word >> 32;
    return (uint32_t)word;
}

static inline double pcg64_next_double(void *stream) {
    return (double)(pcg64_next64(stream) >> 11) * (1.0 / 9007199254740992.0);
}

/* The face that NumPy's distributions draw through. */
static inline bitgen_t pcg64_bitgen(pcg64_stream *stream) {
    bitgen_t bitgen = {stream, pcg64_next64, pcg64_next32, pcg64_next_double, pcg64_next64};
    return bitgen;
}

/* A number in 0 ... most, most below 2^32 - 1, as NumPy's `random_bounded_uint64` draws it: D. Lemire, "Fast
 * Random Integer Generation in an Interval", ACM Trans. Model. Comput. Simul. 29(1), 2019; nothing is drawn
 * where there is nothing to choose. Inline, since a call through the face would cost more than the draw. */
static inline uint32_t pcg64_up_to(pcg64_stream *stream, uint32_t most) {
    if (most == 0) return 0;
    uint64_t scaled = (uint64_t)pcg64_next32(stream) * ((uint64_t)most + 1);
    if ((uint32_t)scaled <= most) {
        const uint32_t threshold = (UINT32_MAX - most) % (most + 1);
        while ((uint32_t)scaled < threshold) scaled = (uint64_t)pcg64_next32(stream) * ((uint64_t)most + 1);
    }
    return (uint32_t)(scaled >> 32);
}

/* Reads a decimal of at most 128 bits at *text and moves *text behind it; 0 where there is none. As in JSON,
 * a zero leads only where it stands alone. */
static inline int pcg64_read_decimal(const char **text, pcg64_word *word) {
    const char *at = *text;
    const pcg64_word limit = ~(pcg64_word)0;
    *word = 0;
    while (*at >= '0' && *at <= '9') {
        const unsigned int digit = (unsigned int)(*at - '0');
        if (*word >= limit / 10 && (*word > limit / 10 || digit > limit % 10)) return 0;
        *word = *word * 10 + digit;
        at++;
    }
    if (at == *text || (**text == '0' && at - *text > 1)) return 0;
    *text = at;
    return 1;
}

/* Writes a word in decimal at `text` (room for 39 characters) and returns how many it wrote. */
static inline int pcg64_write_decimal(pcg64_word word, char *text) {
    const uint64_t chunk = 10000000000000000000u; /* 10^19: few of the slow divisions of 128 bits */
    char reversed[39];
    int length = 0;
    while (word >> 64) {
        uint64_t digits = (uint64_t)(word % chunk);
        word /= chunk;
        for (int i = 0; i < 19; i++, digits /= 10) reversed[length++] = (char)('0' + digits % 10);
    }
    uint64_t rest = (uint64_t)word;
    do {
        reversed[length++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    for (int i = 0; i < length; i++) text[i] = reversed[length - 1 - i];
    return length;
}

#endif
