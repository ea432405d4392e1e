"""Many jobs that recur, one after another, under a policy written in C.

A job's training follows a run of its batch size, drawn from a stream of that batch size alone: the n-th
training of a batch size is the same whatever was trained before it, and so under every policy. Source of the
idea: common random numbers, A. M. Law, "Simulation Modeling and Analysis", chapter 11.2.

The arithmetic is that of ``core.cost`` and of NumPy's ``Generator``, to the last bit.
"""

import numpy as np

from libc.stdint cimport int64_t, uint64_t
from numpy.random cimport bitgen_t

from core.kernels.stream cimport pcg64_bitgen, pcg64_stream, pcg64_up_to

cdef extern from "numpy/random/distributions.h" nogil:
    double random_lognormal(bitgen_t *bitgen, double mean, double sigma)

MOST_TRIES = 100  # trainings of one recurrence after which it is given up
ROOM = 2          # trainings that there is room for, by recurrences; and some more for those of a short job
MORE_ROOM = 200

cdef int64_t _MOST_TRIES = MOST_TRIES

# One row of what was trained.
cdef packed struct trial:
    int64_t recurrence
    int64_t size
    int64_t epochs
    double time
    double energy
    int64_t converged
    int64_t said       # the epoch that was reported last, 0 where none was

TRIAL = np.dtype(
    [("recurrence", np.int64), ("size", np.int64), ("epochs", np.int64), ("time", np.float64),
     ("energy", np.float64), ("converged", np.int64), ("said", np.int64)]
)


cdef class Trainings:
    """The runs that a workload's trainings are drawn from.

    Args:
        offsets: int64 (k + 1); the runs of the i-th batch size are ``offsets[i]:offsets[i + 1]``, at least one.
        times: float64 (n), seconds an epoch of each run.
        energies: float64 (n), joules an epoch.
        lengths: int64 (n), epochs of each run, 1 to m.
        curves: float64 (n, m), its metric after every epoch; m is how many epochs a training may take.
        target: The metric to reach.
        is_higher_better: Whether it is reached from below.
        noise: Relative standard deviation of a training's time, and of its energy, at least 0.
        eta: Share of energy in the cost.
        max_power: Watts.

    Raises:
        ValueError: The shapes do not fit each other.
    """

    def __cinit__(
        self,
        const int64_t[::1] offsets,
        const double[::1] times,
        const double[::1] energies,
        const int64_t[::1] lengths,
        const double[:, ::1] curves,
        double target,
        bint is_higher_better,
        double noise,
        double eta,
        double max_power,
    ):
        cdef Py_ssize_t i, n = times.shape[0]
        if offsets.shape[0] < 2 or offsets[0] != 0 or offsets[offsets.shape[0] - 1] != n:
            raise ValueError("offsets must run from 0 to the number of runs")
        for i in range(offsets.shape[0] - 1):
            if offsets[i + 1] <= offsets[i] or offsets[i + 1] > n:
                raise ValueError("every batch size needs at least one run")
        if energies.shape[0] != n or lengths.shape[0] != n or curves.shape[0] != n:
            raise ValueError("times, energies, lengths and curves must have one element a run")
        for i in range(n):
            if not 1 <= lengths[i] <= curves.shape[1]:
                raise ValueError("lengths must be in 1 to the number of epochs of the curves")
        if not noise >= 0:
            raise ValueError("noise must be at least 0")
        self._held = (offsets, times, energies, lengths, curves)
        self.read.sizes, self.read.max_epochs = offsets.shape[0] - 1, curves.shape[1]
        self.read.offsets, self.read.times, self.read.energies = &offsets[0], &times[0], &energies[0]
        self.read.lengths, self.read.curves = &lengths[0], &curves[0, 0]
        self.read.target, self.read.is_higher_better, self.read.noise = target, is_higher_better, noise
        self.read.energy_weight, self.read.time_weight = eta, (1.0 - eta) * max_power


cdef bint train(
    const policy *decides, void *job, const workload *trained, int64_t size, pcg64_stream *chance, trial *told
) noexcept nogil:
    """Train once, from the drawing of a run to the verdict that ends it; return whether it has converged."""
    cdef bitgen_t bitgen
    cdef int64_t first = trained.offsets[size], runs = trained.offsets[size + 1] - first
    cdef int64_t run = first + pcg64_up_to(chance, <unsigned int>(runs - 1))
    cdef double time = trained.times[run], energy = trained.energies[run], noise = trained.noise
    cdef const double *curve = trained.curves + run * trained.max_epochs
    cdef int64_t epoch = 0
    cdef int verdict = GOES_ON
    cdef report said
    if noise > 0:
        bitgen = pcg64_bitgen(chance)
        time = time * random_lognormal(&bitgen, -(noise * noise) / 2, noise)
        energy = energy * random_lognormal(&bitgen, -(noise * noise) / 2, noise)
    said.size = size
    while verdict == GOES_ON and epoch < trained.lengths[run]:
        said.metric = curve[epoch]
        epoch += 1
        told.time, told.energy = epoch * time, epoch * energy
        said.is_last = epoch == trained.lengths[run]
        said.cost = trained.energy_weight * told.energy + trained.time_weight * told.time
        if trained.is_higher_better:
            said.is_reached = said.metric >= trained.target
        else:
            said.is_reached = said.metric <= trained.target
        said.epoch = trained.max_epochs if said.is_last and not said.is_reached else epoch
        said.time, said.energy = told.time, told.energy
        verdict = decides.judge(job, &said)
    told.size, told.epochs, told.converged, told.said = size, epoch, verdict == CONVERGED, said.epoch
    decides.learn(job, &said, verdict == CONVERGED)
    return verdict == CONVERGED


cdef int64_t recur(
    const policy *decides,
    void *job,
    const workload *before,
    const workload *after,
    int64_t change,
    pcg64_stream *chances,
    int64_t recurrences,
    int64_t room,
    trial *told,     # OUT
    int64_t *count,  # OUT
) noexcept nogil:
    """Train until the target has been reached so many times; return how that came to an end."""
    cdef int64_t reached = 0, tries = 0, size
    cdef const workload *trained
    count[0] = 0
    while reached < recurrences:
        size = decides.suggest(job)
        if size < 0:
            return size
        if count[0] == room:
            return BEYOND
        told[count[0]].recurrence = reached
        trained = after if reached >= change else before
        if train(decides, job, trained, size, &chances[size], &told[count[0]]):
            reached += 1
            tries = 0
        else:
            tries += 1
        count[0] += 1
        if tries == _MOST_TRIES:
            return STUCK
    return ENDED


cdef play(
    const policy *decides,
    void *job,
    Trainings before,
    Trainings after,
    int64_t change,
    const uint64_t[:, :, ::1] chances,
    const uint64_t[:, ::1] streams,
    int64_t recurrences,
):
    """Let s jobs recur, one after another; see ``recurring_zeus.play`` for what goes in and out."""
    cdef Py_ssize_t i, j, jobs = streams.shape[0], sizes = before.read.sizes
    if after.read.sizes != sizes or after.read.max_epochs != before.read.max_epochs:
        raise ValueError("the trainings before and after a change must be of the same batch sizes and epochs")
    if chances.shape[0] != jobs or chances.shape[1] != sizes or chances.shape[2] != 6 or streams.shape[1] != 6:
        raise ValueError("chances must have a row a job and batch size, streams one a job, of 6 columns each")
    if recurrences < 0:
        raise ValueError("recurrences must be at least 0")
    cdef int64_t room = ROOM * recurrences + MORE_ROOM
    told_array = np.empty((jobs, room), dtype=TRIAL)
    counts_array = np.empty(jobs, dtype=np.int64)
    endings_array = np.empty(jobs, dtype=np.int64)
    drawn_array = np.empty((sizes, 6), dtype=np.uint64)
    cdef trial[:, ::1] told = told_array
    cdef int64_t[::1] counts = counts_array, endings = endings_array
    cdef uint64_t[:, ::1] drawn = drawn_array
    with nogil:
        for i in range(jobs):
            for j in range(sizes):
                drawn[j] = chances[i, j]
            decides.begin(job, <const pcg64_stream *>&streams[i, 0])
            endings[i] = recur(decides, job, &before.read, &after.read, change, <pcg64_stream *>&drawn[0, 0],
                               recurrences, room, &told[i, 0], &counts[i])
    return told_array, counts_array, endings_array
