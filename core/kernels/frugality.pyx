"""Policy ``frugal``: what a batch size may save against what it costs to find out.

One that has not converged yet is probed where the saving that it is expected to bring over the next trainings,
times their number, is more than what finding out is expected to cost; and it is stopped, epoch by epoch, where
going on is not worth that any more. Among those that have converged the lowest of one sample each is taken,
drawn at less than the whole width of its posterior. Whether costs have drifted is told by two cumulative sums
of how far trainings miss what was expected of them.

Source: the value of a probe, P. I. Frazier et al., "A Knowledge-Gradient Policy for Sequential Information
Collection", 2008; the sums, E. S. Page, "Continuous Inspection Schemes", Biometrika 41, 1954; the weight of what
is inherited, R. E. Kass and A. E. Raftery, "Bayes Factors", 1995.
"""

import numpy as np

from libc.math cimport INFINITY, NAN, exp, floor, log, sqrt
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memmove, memset
from numpy.random cimport bitgen_t

from core.kernels.beliefs cimport (
    ANOTHERS,
    BOUND,
    ENERGY,
    EPOCHS,
    FAILED_EPOCHS,
    FAILURES,
    INHERITED_DOUBT,
    INHERITED_ENERGY,
    INHERITED_EPOCHS,
    INHERITED_FROM,
    INHERITED_TIME,
    MEAN_EPOCHS,
    MEAN_RATE,
    NOBODYS,
    OWN,
    RETRY,
    RUN_EPOCHS,
    RUNNING,
    RUNS,
    SQUARES_EPOCHS,
    SQUARES_RATE,
    STOPS,
    SUCCESSES,
    TIME,
    WIDTH as BELIEFS_WIDTH,
    above,
    beliefs,
    fit,
    improvement,
    normal_mass,
    observe,
    place,
    prepare,
    room_of,
)
from core.kernels.stream cimport pcg64_bitgen, pcg64_stream

cdef extern from "numpy/random/distributions.h" nogil:
    double random_normal(bitgen_t *bitgen, double mean, double scale)

WIDTH = BELIEFS_WIDTH
SUSPECTS = MOST_SUSPECTS
MOST_SIZES = 64  # batch sizes that are considered at a time

cdef double HORIZON = 30.0       # trainings over which a saving counts
cdef double LEAST_PRICE = 0.4    # of a probe that can still be stopped, in trainings of the best
cdef double SAMPLE_WIDTH = 0.4   # in deviations of the posterior
cdef double REACH = 0.5          # octaves from what was tried to what is probed
cdef double PAUSE = 8.0          # trials after a stop in which its batch size is not probed again; then twice it
cdef double LEAST_AHEAD = 2.0    # epochs in which the best reaches a level by which others are judged
cdef double SOFTNESS = 0.15
cdef double CROWDED = 1000.0     # more than logarithms of costs differ
cdef double BESIDE = 8.0         # trainings that run beside each probe but the first
cdef double MOST_RUNNING = 4.0   # trainings of one batch size that are counted while they run
cdef double MEMORY = 50.0        # results of a batch size before the first fade

cdef double LEAST_TIME = 1e-300  # seconds: less has no logarithm once it is shared out

cdef double WATCHED = 4.0        # results before those of a batch size are watched
cdef double SLACK = 1.0          # deviations that are no drift,
cdef double ALARM = 6.0          # the sum of the rest at which there is one
cdef double FARTHEST = 4.0       # deviations of a single training that count
cdef double WIDEST = 9.0         # squared, of a training in what deviations are

cdef double MOST_TRUST = 0.6     # the most that what is inherited counts with: else errors might never be found out
cdef double TRUSTED = 0.99       # of another job, the least weight that counts,
cdef double TRUSTED_SIZES = 3.0  # and after how many batch sizes


cdef Py_ssize_t room_of_mind(int64_t n) noexcept nogil:
    """How many doubles what is made of n batch sizes takes."""
    return 2 * n * n + 2 * room_of(n)


cdef void furnish(mind *of, int64_t n, int64_t default, const double *positions, double *room) noexcept nogil:
    """Give a mind its room, and what it believes before it knows anything."""
    of.n, of.default, of.positions = n, default, positions
    of.rate_prior, of.epochs_prior = room, room + n * n
    prepare(positions, n, default, of.rate_prior, of.epochs_prior)
    place(&of.cold, n, room + 2 * n * n)
    place(&of.warm, n, room + 2 * n * n + room_of(n))


cdef void consider(mind *of) noexcept nogil:
    """Make beliefs of what is known."""
    cdef double seen = 0.0, odds
    cdef int64_t i, inherited_from = NOBODYS
    fit(&of.cold, of.known, of.positions, of.default, of.energy_weight, of.time_weight, of.rate_prior,
        of.epochs_prior, NOBODYS)
    of.warmth = 0.0
    for i in range(of.n):
        inherited_from = max(inherited_from, <int64_t>of.known[i * BELIEFS_WIDTH + INHERITED_FROM])
        seen += of.known[i * BELIEFS_WIDTH + RUNS] > 0
    if inherited_from == NOBODYS or (inherited_from == ANOTHERS and seen < TRUSTED_SIZES):
        return
    fit(&of.warm, of.known, of.positions, of.default, of.energy_weight, of.time_weight, of.rate_prior,
        of.epochs_prior, inherited_from)
    odds = of.warm.evidence - of.cold.evidence  # both are as likely before
    of.warmth = 1 / (1 + exp(-min(max(odds, -50.0), 50.0)))
    if inherited_from == ANOTHERS and of.warmth < TRUSTED:
        of.warmth = 0.0
    of.warmth = min(of.warmth, MOST_TRUST)


cdef const beliefs *believed(const mind *of) noexcept nogil:
    """The beliefs that carry more weight."""
    return &of.warm if of.warmth > 0.5 else &of.cold


cdef inline double mean_of(const beliefs *of, int64_t i) noexcept nogil:
    """The mean of the logarithm of what a batch size costs."""
    return of.rate[i] + of.epochs[i]


cdef inline double variance_of(const beliefs *of, int64_t i) noexcept nogil:
    return of.rate_spread[i * of.m + i] + of.epochs_spread[i * of.m + i]


cdef double variance_between(const beliefs *of, int64_t i, int64_t j) noexcept nogil:
    """The variance of the difference of the logarithms of what two batch sizes cost."""
    cdef int64_t m = of.m
    return (
        of.rate_spread[i * m + i] + of.rate_spread[j * m + j] - 2 * of.rate_spread[i * m + j]
        + of.epochs_spread[i * m + i] + of.epochs_spread[j * m + j] - 2 * of.epochs_spread[i * m + j]
    )


cdef double cost_of(const mind *of, int64_t size) noexcept nogil:
    """The joules that reaching the target at a batch size is believed to cost."""
    return exp(mean_of(believed(of), size))


cdef int64_t leader_of(const mind *of, const unsigned char *usable) noexcept nogil:
    """The batch size that has converged and is believed to cost the least, -1 if none has."""
    cdef const beliefs *by = believed(of)
    cdef int64_t i, leader = -1
    for i in range(of.n):
        if of.known[i * BELIEFS_WIDTH + SUCCESSES] > 0 and (usable == NULL or usable[i]):
            if leader < 0 or mean_of(by, i) < mean_of(by, leader):
                leader = i
    return leader


cdef void expect_running(beliefs *of, const double *known) noexcept nogil:
    """Take the trainings that run for what they are expected to become: nothing new, but known."""
    cdef int64_t i, j
    for i in range(of.n):
        for j in range(<int64_t>min(known[i * BELIEFS_WIDTH + RUNNING], MOST_RUNNING)):
            observe(of.rate, of.rate_spread, of.m, i, -1, of.rate[i], 1e-4)
            observe(of.epochs, of.epochs_spread, of.m, i, -1, of.epochs[i], of.noise)


cdef void weigh_probe(
    const beliefs *of, int64_t size, int64_t leader, bint can_be_stopped, double *saving, double *price
) noexcept nogil:
    """What a batch size is expected to save a training, and what a probe costs, in costs of the leader."""
    cdef double behind = mean_of(of, size) - mean_of(of, leader)
    cdef double variance = variance_between(of, size, leader), epoch
    saving[0] = improvement(behind, variance / sqrt(variance + of.noise))
    price[0] = exp(min(behind + 0.5 * variance, 5.0)) - 1
    if can_be_stopped:  # after an epoch, or once it is seen to be hopeless
        epoch = exp(min(of.rate[size] - of.rate[leader], 20.0) - of.epochs[leader])
        price[0] = min(price[0], max(epoch, LEAST_PRICE))


cdef bint is_within_reach(const mind *of, int64_t size, int64_t low, int64_t high) noexcept nogil:
    """Whether a batch size is next to those from low to high, or between them, or near them."""
    if size < low - 1:
        return of.positions[low] - of.positions[size] <= REACH
    return size <= high + 1 or of.positions[size] - of.positions[high] <= REACH


cdef int64_t sought(const mind *of, double max_epochs, const unsigned char *usable) noexcept nogil:
    """While nothing has converged: what is expected to, at the lowest cost."""
    cdef const beliefs *by = &of.cold
    cdef const double *row
    cdef double least = INFINITY, cost, chance, limit = log(max_epochs), below = 0.0, beyond = 0.0
    cdef int64_t i, low = of.default, high = of.default, found = -1
    for i in range(of.n):
        if of.known[i * BELIEFS_WIDTH + RUNS] > 0 or not usable[i]:
            low, high = min(low, i), max(high, i)
    for i in range(of.n):
        row = of.known + i * BELIEFS_WIDTH
        below += row[RUNNING] if i < of.default else 0
        beyond += row[RUNNING] if i > of.default else 0
    for i in range(of.n):
        row = of.known + i * BELIEFS_WIDTH
        if not usable[i] or not is_within_reach(of, i, low, high):
            continue
        chance = normal_mass((limit - by.epochs[i]) / sqrt(by.epochs_spread[i * by.m + i]))
        cost = by.rate[i] + min(by.epochs[i], limit) - log(max(chance, 1e-12))
        if row[RUNNING] > 0:  # others may show more
            cost += log(2.0)
        if (i < of.default and below > 0) or (i > of.default and beyond > 0):
            cost += CROWDED  # one at a time on either side, while there is the default
        if cost < least:
            least, found = cost, i
    return found


cdef int64_t sampled(
    const mind *of, const unsigned char *usable, pcg64_stream *stream, double *samples
) noexcept nogil:
    """The batch size with the lowest sample of those that have converged."""
    cdef const beliefs *by = believed(of)
    cdef bitgen_t bitgen = pcg64_bitgen(stream)
    cdef double least = INFINITY
    cdef int64_t i, found = -1
    for i in range(of.n):
        if of.known[i * BELIEFS_WIDTH + SUCCESSES] > 0 and usable[i]:
            samples[i] = random_normal(&bitgen, mean_of(by, i),
                                       SAMPLE_WIDTH * sqrt(max(variance_of(by, i), 0.0)))
            if samples[i] < least:
                least, found = samples[i], i
    return found


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
) noexcept nogil:
    """Choose a batch size, considered before, for the trial of a number; at least one is usable."""
    cdef const double *row
    cdef double saves, costs, warm_saves, warm_costs, worth, most = 0.0, each, running = 0.0, probes = 0.0
    cdef int64_t i, leader = leader_of(of, usable), low = of.n, high = -1, found = -1
    for i in range(of.n):
        samples[i] = NAN
    saving[0] = price[0] = NAN
    if leader < 0:
        row = of.known + of.default * BELIEFS_WIDTH
        if row[RUNS] == 0 and row[RUNNING] == 0 and usable[of.default]:
            rule[0] = DEFAULT
            return of.default
        rule[0] = SOUGHT
        return sought(of, max_epochs, usable)
    expect_running(&of.cold, of.known)
    if of.warmth > 0:
        expect_running(&of.warm, of.known)
    for i in range(of.n):
        row = of.known + i * BELIEFS_WIDTH
        running += row[RUNNING]
        if row[RUNS] > 0:  # also in vain: one unlucky training must not wall off what lies beyond
            low, high = min(low, i), max(high, i)
        if row[SUCCESSES] == 0:
            probes += row[RUNNING]
    each = cost_of(of, leader)
    for i in range(of.n):
        row = of.known + i * BELIEFS_WIDTH
        if probes >= 1 + floor(running / BESIDE) or row[SUCCESSES] > 0 or number < row[RETRY] or not usable[i] or not is_within_reach(of, i, low, high):
            continue
        weigh_probe(&of.cold, i, leader, row[STOPS] == 0, &saves, &costs)
        if of.warmth > 0:
            weigh_probe(&of.warm, i, leader, row[STOPS] == 0, &warm_saves, &warm_costs)
            saves += of.warmth * (warm_saves - saves)
            costs += of.warmth * (warm_costs - costs)
        worth = HORIZON * saves - costs
        if worth > most:
            most, found = worth, i
            saving[0], price[0] = saves * each, costs * each
    if found >= 0:
        rule[0] = PROBED
        return found
    rule[0] = SAMPLED
    return sampled(of, usable, stream, samples)


cdef double worth_of_rest(
    const beliefs *of, int64_t leader, int64_t size, double epoch, double cost, double ahead, double *bound, double *rest
) noexcept nogil:
    """What it is worth to go on, less what that costs, in costs of the leader."""
    cdef double each = exp(mean_of(of, leader)), softness = SOFTNESS, needed, higher, narrower, behind, variance
    bound[0] = log(epoch + 0.5)
    if ahead >= LEAST_AHEAD:  # as far as the leader was after that many epochs
        needed = of.epochs[leader] + log(epoch / ahead)
        if needed > bound[0]:
            bound[0], softness = needed, sqrt(SOFTNESS * SOFTNESS + 1 / (ahead * ahead))
    above(of.epochs[size], of.epochs_spread[size * of.m + size], bound[0], softness, &higher, &narrower)
    higher = max(higher, log(epoch + 0.5))  # what was trained is certain
    behind = log(cost / epoch) + higher - mean_of(of, leader)
    variance = narrower + variance_of(of, leader)
    rest[0] = cost / each * (exp(min(higher + 0.5 * narrower - log(epoch), 10.0)) - 1)
    return 1 + HORIZON * improvement(behind, variance / sqrt(variance + of.noise)) - rest[0]


cdef bint is_worth_it(
    const mind *of, int64_t leader, int64_t size, double epoch, double cost, double ahead, double *bound, double *rest
) noexcept nogil:
    """Whether a training that has not reached its target is to go on; considered before.

    ``ahead`` is the epoch in which the leader was first further than the training is now. What is known then
    of the logarithm of the epochs that it needs is ``bound``; ``rest`` is in joules.
    """
    cdef double worth = worth_of_rest(&of.cold, leader, size, epoch, cost, ahead, bound, rest)
    cdef double warm_worth, warm_bound, warm_rest
    if of.warmth > 0:
        warm_worth = worth_of_rest(&of.warm, leader, size, epoch, cost, ahead, &warm_bound, &warm_rest)
        worth += of.warmth * (warm_worth - worth)
        bound[0] += of.warmth * (warm_bound - bound[0])
        rest[0] += of.warmth * (warm_rest - rest[0])
    rest[0] *= cost_of(of, leader)
    return worth >= 0


cdef void add(double *row, const result *seen, int64_t number, double noise) noexcept nogil:
    """Add a result to what is known of its batch size."""
    cdef double missed, rate = log(max(seen.time, LEAST_TIME)) - log(seen.epochs), fading
    row[RUNS] += 1
    row[RUN_EPOCHS] += seen.epochs
    row[TIME] += seen.time
    row[ENERGY] += seen.energy
    missed = rate - row[MEAN_RATE]
    row[MEAN_RATE] += missed / row[RUNS]
    row[SQUARES_RATE] += min(missed * (rate - row[MEAN_RATE]), WIDEST * noise)
    if seen.ending == CONVERGED:
        row[SUCCESSES] += 1
        row[EPOCHS] += seen.epochs
        missed = log(seen.epochs) - row[MEAN_EPOCHS]
        row[MEAN_EPOCHS] += missed / row[SUCCESSES]
        row[SQUARES_EPOCHS] += min(missed * (log(seen.epochs) - row[MEAN_EPOCHS]), WIDEST * noise)
    else:
        row[RETRY] = number + PAUSE * 2 ** min(row[STOPS], 20.0)
        row[STOPS] += 1
        if seen.ending == HOPELESS:
            row[BOUND] = max(row[BOUND], seen.bound)
        else:
            row[FAILURES] += 1
            row[FAILED_EPOCHS] += seen.epochs
            row[BOUND] = max(row[BOUND], log(row[FAILED_EPOCHS] + 0.5))
    if row[SUCCESSES] > MEMORY:
        fading = MEMORY / row[SUCCESSES]
        row[SUCCESSES] *= fading
        row[EPOCHS] *= fading
        row[FAILURES] *= fading
        row[FAILED_EPOCHS] *= fading
        row[SQUARES_EPOCHS] *= fading
    if row[RUNS] > MEMORY:
        fading = MEMORY / row[RUNS]
        row[RUNS] *= fading
        row[RUN_EPOCHS] *= fading
        row[TIME] *= fading
        row[ENERGY] *= fading
        row[SQUARES_RATE] *= fading


cdef void forget(mind *of) noexcept nogil:
    """Know what runs, and of all else that it was so in the past."""
    cdef const beliefs *by = believed(of)
    cdef double *row
    cdef int64_t i
    for i in range(of.n):
        row = of.known + i * BELIEFS_WIDTH
        if row[RUNS] > 0:
            row[INHERITED_FROM] = OWN
            row[INHERITED_TIME] = row[TIME] / row[RUN_EPOCHS]
            row[INHERITED_ENERGY] = row[ENERGY] / row[RUN_EPOCHS]
            row[INHERITED_EPOCHS] = by.epochs[i]
            row[INHERITED_DOUBT] = by.epochs_spread[i * by.m + i]
        elif row[INHERITED_FROM] != OWN:  # another's may differ as much
            memset(row + INHERITED_FROM, 0, (BELIEFS_WIDTH - INHERITED_FROM) * sizeof(double))
        memset(row, 0, RUNNING * sizeof(double))
        row[BOUND] = -INFINITY


cdef double missed_by(const mind *of, const result *seen, double *deviation) noexcept nogil:
    """By how many deviations a training that converged cost more than was expected."""
    cdef const double *row = of.known + seen.size * BELIEFS_WIDTH
    cdef const beliefs *by = believed(of)
    cdef double cost = of.energy_weight * seen.energy + of.time_weight * seen.time
    cdef double expected = mean_of(by, seen.size) - log(1 + row[FAILED_EPOCHS] / row[EPOCHS])  # of this one alone
    deviation[0] = sqrt(by.noise + variance_of(by, seen.size))
    return (log(cost) - expected) / deviation[0]


cdef result tamed(const mind *of, const result *seen) noexcept nogil:
    """A result as it counts: of what is farther off than any training should be, no more than that."""
    cdef double missed, deviation, share = 1.0
    if seen.ending == CONVERGED and of.known[seen.size * BELIEFS_WIDTH + SUCCESSES] >= WATCHED:
        missed = missed_by(of, seen, &deviation)
        if missed > FARTHEST:
            share = exp(max((FARTHEST - missed) * deviation, -500.0))
    return result(seen.size, share * seen.epochs, share * seen.time, share * seen.energy, seen.ending, seen.bound)


cdef bint has_drifted(mind *of, const result *seen) noexcept nogil:
    """Add a result to the sums, considered before; whether it is one too many."""
    cdef const double *row = of.known + seen.size * BELIEFS_WIDTH
    cdef double missed, failing, deviation
    if row[SUCCESSES] < WATCHED:
        return False
    if seen.ending == CONVERGED:
        missed = min(max(missed_by(of, seen, &deviation), -FARTHEST), FARTHEST)
    else:  # which says less where it is nothing new
        failing = (row[FAILURES] + 0.5) / (row[FAILURES] + row[SUCCESSES] + 1)
        missed = FARTHEST * max(1 - 3 * failing, 0.0)
    of.watched.dearer = max(0.0, of.watched.dearer + missed - SLACK)
    of.watched.cheaper = max(0.0, of.watched.cheaper - missed - SLACK)
    if of.watched.dearer == 0 and of.watched.cheaper == 0:
        of.watched.count = 0
        return False
    if of.watched.count == MOST_SUSPECTS:  # the newest show best what it has become
        of.watched.count -= 1
        memmove(of.watched.suspects, of.watched.suspects + 1, of.watched.count * sizeof(result))
    of.watched.suspects[of.watched.count] = seen[0]
    of.watched.count += 1
    return max(of.watched.dearer, of.watched.cheaper) > ALARM


cdef bint take_in(mind *of, const result *seen, int64_t number) noexcept nogil:
    """Learn a result, considered before; where costs have drifted, start anew from the results that show it."""
    cdef double noise = of.cold.noise
    cdef result *suspect
    cdef result counted
    cdef int64_t i
    if not has_drifted(of, seen):
        counted = tamed(of, seen)
        add(of.known + seen.size * BELIEFS_WIDTH, &counted, number, noise)
        return False
    forget(of)
    for i in range(of.watched.count):
        suspect = &of.watched.suspects[i]
        if suspect.ending == BEYOND_BOUND:  # which was that of the costs before
            suspect.ending, suspect.bound = HOPELESS, log(suspect.epochs + 0.5)
        add(of.known + suspect.size * BELIEFS_WIDTH, suspect, number, noise)
    of.watched.dearer = of.watched.cheaper = 0.0
    of.watched.count = 0
    return True


cdef class Mind:
    """A job as it is decided on: what is known of its n batch sizes, and what is made of that.

    Args:
        positions: float64 (n), the base-2 logarithms of the batch sizes, ascending; n is 1 to ``MOST_SIZES``.
        default: The index of the default batch size.
        known: float64 (n, WIDTH), what is known of each; see ``core.kernels.beliefs``. It is changed in place.
        watched: float64 (2), the sums of what was dearer, and cheaper, than expected.
        suspects: float64 (s, 6), the newest results since both were zero: the index of the batch size, epochs,
            seconds, joules, how it ended, its bound; s is at most ``SUSPECTS``.
        energy_weight: Joules of cost by joules.
        time_weight: Joules of cost by seconds.

    Raises:
        ValueError: The shapes do not fit each other.
    """

    cdef mind of
    cdef const double[::1] positions
    cdef double[:, ::1] known
    cdef double[::1] room

    def __cinit__(
        self,
        const double[::1] positions,
        int64_t default,
        double[:, ::1] known,
        const double[::1] watched,
        const double[:, ::1] suspects,
        double energy_weight,
        double time_weight,
    ):
        cdef Py_ssize_t i, n = positions.shape[0]
        if not 1 <= n <= MOST_SIZES:
            raise ValueError(f"there must be 1 to {MOST_SIZES} batch sizes")
        if not 0 <= default < n:
            raise ValueError("default must be the index of a batch size")
        if known.shape[0] != n or known.shape[1] != WIDTH:
            raise ValueError(f"known must have a row a batch size, of {WIDTH} columns")
        if watched.shape[0] != 2 or suspects.shape[0] > MOST_SUSPECTS or suspects.shape[1] != 6:
            raise ValueError(f"watched must have 2 elements, suspects at most {MOST_SUSPECTS} rows of 6 columns")
        for i in range(suspects.shape[0]):
            if not 0 <= suspects[i, 0] < n:
                raise ValueError("suspects must be of the batch sizes")
            self.of.watched.suspects[i] = result(
                <int64_t>suspects[i, 0], suspects[i, 1], suspects[i, 2], suspects[i, 3], <int64_t>suspects[i, 4],
                suspects[i, 5],
            )
        self.of.watched.count = suspects.shape[0]
        self.of.watched.dearer, self.of.watched.cheaper = watched[0], watched[1]
        self.positions, self.known = positions, known
        self.room = np.empty(room_of_mind(n))
        self.of.known = &known[0, 0]
        self.of.energy_weight, self.of.time_weight = energy_weight, time_weight
        with nogil:
            furnish(&self.of, n, default, &positions[0], &self.room[0])
            consider(&self.of)

    @property
    def leader(self):
        """The index of the batch size that has converged and is believed to cost the least, -1 if none has."""
        return leader_of(&self.of, NULL)

    @property
    def noise(self):
        """The variance of the logarithm of what one training costs."""
        return self.of.cold.noise

    @property
    def warmth(self):
        """The weight of what is inherited, 0 to 1."""
        return self.of.warmth

    @property
    def watched(self):
        """The sums of what was dearer, and cheaper, than expected."""
        return self.of.watched.dearer, self.of.watched.cheaper

    @property
    def suspects(self):
        """The newest results since both sums were zero, as they were given."""
        return [
            (seen.size, seen.epochs, seen.time, seen.energy, seen.ending, seen.bound)
            for seen in self.of.watched.suspects[: self.of.watched.count]
        ]

    def costs(self):
        """Return mean and variance of the logarithm of what each batch size costs, in joules: float64 (n, 2)."""
        cdef const beliefs *by = believed(&self.of)
        cdef int64_t i
        return np.array([(mean_of(by, i), variance_of(by, i)) for i in range(self.of.n)])

    def choose(self, int64_t number, double max_epochs, const unsigned char[::1] usable,
               const uint64_t[:, ::1] stream):
        """Choose a batch size; what is believed is spent then.

        Args:
            number: That of the trial.
            max_epochs: After which a training has failed to converge.
            usable: uint8 (n), 1 for those to choose from, at least one.
            stream: uint64 (1, 6), the job's stream.

        Returns:
            The index of the batch size; why, 0 to 3 (``DEFAULT`` and so on in ``frugality.pxd``); what it is
            expected to save a training and to cost to find out, joules, NaN where it is not probed; the
            logarithm of the cost that was drawn for each, NaN where none was, float64 (n); the stream then.

        Raises:
            ValueError: The shapes do not fit, or nothing is usable.
        """
        cdef int64_t size, rule = 0
        cdef double saving = 0.0, price = 0.0
        if usable.shape[0] != self.of.n or stream.shape[0] != 1 or stream.shape[1] != 6:
            raise ValueError("usable must have an element a batch size, stream one row of 6 columns")
        samples_array, after_array = np.empty(self.of.n), np.array(stream)
        cdef double[::1] samples = samples_array
        cdef uint64_t[:, ::1] after = after_array
        with nogil:
            size = choose_size(&self.of, number, max_epochs, &usable[0], <pcg64_stream *>&after[0, 0],
                               &samples[0], &rule, &saving, &price)
        if size < 0:
            raise ValueError("at least one batch size must be usable")
        return size, rule, saving, price, samples_array, after_array

    def is_worth_it(self, int64_t size, double epoch, double cost, double ahead):
        """Tell whether a training at a batch size that has not converged is to go on.

        Args:
            size: The index of the batch size.
            epoch: Its epoch, at least 1.
            cost: Joules of cost so far.
            ahead: The epoch in which the leader was first further than the training is now; 0 if unknown.

        Returns:
            Whether it is; what is known now of the logarithm of the epochs that it needs more than; and the
            joules of cost that are expected to be missing yet.

        Raises:
            ValueError: There is no such batch size, or no leader.
        """
        cdef double bound = 0.0, rest = 0.0
        cdef int64_t leader = leader_of(&self.of, NULL)
        if not 0 <= size < self.of.n or leader < 0:
            raise ValueError("size must be the index of a batch size, and one must have converged")
        return is_worth_it(&self.of, leader, size, epoch, cost, ahead, &bound, &rest), bound, rest

    def learn(self, int64_t size, double epochs, double time, double energy, int64_t ending, double bound,
              int64_t number):
        """Learn a result, and believe what is known then; return whether costs have drifted.

        Args:
            size: The index of the batch size.
            epochs: At least 1.
            time: Seconds, above 0.
            energy: Joules, at least 0.
            ending: How it ended, 0 to 3 (``CONVERGED`` and so on in ``frugality.pxd``).
            bound: The logarithm of epochs that it needs more than, where it is hopeless.
            number: That of the newest trial of the job.

        Raises:
            ValueError: There is no such batch size.
        """
        cdef result seen = result(size, epochs, time, energy, ending, bound)
        if not 0 <= size < self.of.n:
            raise ValueError("size must be the index of a batch size")
        cdef bint drifted = take_in(&self.of, &seen, number)
        consider(&self.of)
        return drifted
