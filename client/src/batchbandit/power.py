"""The power limit of a training's GPUs: profiled while it trains, and the cheapest kept."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, Any, TypeVar

from batchbandit.energy.meters import NO_SOURCE
from batchbandit.log import log
from batchbandit.power_guard import Guardian, Unsettable
from batchbandit.power_profile import Memory, Profile, Stretch, Terms, limits_between

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from typing_extensions import Self

    from batchbandit.energy.meters import EnergyMeter
    from batchbandit.power_profile import Measured
    from batchbandit.ranks import Ranks

__all__ = ["PowerLimit", "Terms"]

Item = TypeVar("Item")


class PowerLimit:
    """Profiles the power limits that the GPUs allow, keeps the cheapest, and restores the one it found.

    Entered, it tries the limit that it found and lower ones, never a higher one. At each it lets steps pass
    while the GPUs settle, and then measures steps a second and watts. It is told of every step, by ``steps``
    around the loader or by ``step``, and leaves out what lies between epochs. A profile that the first epoch
    is too short for goes on in the next. The cheapest limit is kept until the block is left, and remembered
    for the next training of the job at that batch size. Where a limit cannot be set, that is said once, and
    the training goes on at the limit it had.

    All GPUs of all ranks have the same limit. On more ranks than one every rank makes the same calls, after
    the same steps.

    Args:
        terms: What the limit is chosen for.
        meter: Measures the devices of this rank, none of which another rank measures, be it none at all; it
            may be started anew while ``drop`` is called.
        ranks: The processes of the training.
        folder: The state folder, which remembers profiles and limits to restore; None where there is none.
        warmup_seconds: How long GPUs settle at a limit, at least; above 0.
        window_seconds: How long is measured at each limit, about; above 0.
        remembers: Whether the profile of an earlier training is believed.
        clock: Gives seconds.

    Raises:
        ValueError: Seconds that are not above 0.
    """

    def __init__(
        self,
        terms: Terms,
        meter: EnergyMeter,
        ranks: Ranks,
        folder: Path | None,
        *,
        warmup_seconds: float = 2.0,
        window_seconds: float = 5.0,
        remembers: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (0 < warmup_seconds < math.inf and 0 < window_seconds < math.inf):
            raise ValueError("warmup_seconds and window_seconds must be above 0.")
        self._terms = terms
        self._meter = meter
        self._ranks = ranks
        self._folder = None if folder is None else folder / "power"
        self._warmup_seconds = warmup_seconds
        self._window_seconds = window_seconds
        self._remembers = remembers
        self._clock = clock
        self._guardian: Guardian | None = None
        self._memory: Memory | None = None
        self._profile: Profile | None = None
        self._stretch = Stretch(self._read, 1)
        self._is_warm = False
        self._flaw: str | None = None
        self._limit: float | None = None
        self._measured: tuple[Measured, ...] = ()

    @property
    def limit(self) -> float | None:
        """The limit that is set, in watts; None where the GPUs have the one that they had."""
        return self._limit

    @property
    def is_settled(self) -> bool:
        """Whether nothing is tried any more."""
        return self._profile is None

    @property
    def measured(self) -> Sequence[Measured]:
        """What this training has measured, the highest limit first; empty where a profile was remembered."""
        return self._measured

    def __enter__(self) -> Self:
        try:
            self._begin()
        except Unsettable as error:
            self._give_up(error)
        except BaseException:  # the block is not entered, so that nobody will leave it
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def steps(self, batches: Iterable[Item]) -> Iterator[Item]:
        """Give the batches of an epoch, and count the step that is made with each."""
        self.drop()
        for batch in batches:
            yield batch
            self.step()
        self.pause()

    def step(self) -> None:
        """Count a training step that is over; where the profile is over this does nothing."""
        if self._profile is None or not self._stretch.step():
            return
        try:
            self._look(self._profile)
        except Unsettable as error:
            self._give_up(error)

    def pause(self) -> None:
        """Tell that something else than training follows the step just counted, as a validation."""
        if self._profile is not None:
            self._stretch.pause()

    def drop(self) -> None:
        """Tell that something else may have followed the last step, or that the meter was started anew.

        A trial calls it when an epoch is reported: who calls ``step`` alone need not call ``pause``.
        """
        self._stretch.drop()

    def close(self) -> None:
        """Restore the limit that was found; a forked child restores nothing."""
        self._profile = self._limit = None
        guardian, self._guardian = self._guardian, None
        if guardian is not None:
            try:
                guardian.close()
            except Unsettable as error:
                log.warning("The power limit is not as it was: %s.", error)

    def _begin(self) -> None:
        """Find out what is allowed, and set the limit that is remembered or else the first to try."""
        if set(self._together(self._checked_source)) == {NO_SOURCE}:
            raise Unsettable("no energy is measured")
        ranges = [each for ranges in self._together(self._guard) for each in ranges]
        if not ranges:
            raise Unsettable("no GPU is measured")
        highest = min(found for found, _ in ranges)
        limits = limits_between(max(lowest for _, lowest in ranges), highest)
        if len(limits) == 1:
            raise Unsettable(f"{highest:g} W is already the lowest")
        models = self._together(lambda: [each.model for each in self._meter.devices if each.is_gpu])
        question = {**self._terms._asdict(), "limits": limits, "gpus": models}
        if self._remembers and self._folder is not None:
            self._memory = Memory(self._folder, question)
        recalled = self._memory.recall(time.time()) if self._memory is not None else None
        limit: float | None = self._ranks.share(recalled)
        if limit is not None:
            self._set(limit)
            log.info("The power limit is %g W, as an earlier training found.", limit)
            return
        profile = Profile(limits, self._terms.eta, self._terms.max_power)
        self._set(profile.limit)
        self._profile = profile

    def _checked_source(self) -> str:
        if self._terms.eta == 0:
            raise Unsettable("with eta_knob 0 energy costs nothing")
        if self._folder is None:
            raise Unsettable("no folder can be written that would note what is to be restored")
        return self._meter.read().source

    def _guard(self) -> list[list[float]]:
        gpus = [device.identity for device in self._meter.devices if device.is_gpu]
        if gpus and self._folder is not None:
            self._guardian = Guardian(gpus, self._folder)
        return [list(each) for each in self._guardian.ranges] if self._guardian is not None else []

    def _set(self, limit: float) -> None:
        self._together(lambda: None if self._guardian is None else self._guardian.set(limit))
        self._limit = limit
        self._is_warm = False
        self._stretch = Stretch(self._read, 1)

    def _look(self, profile: Profile) -> None:
        """See what the steps that were due have come to."""
        stretch = self._stretch
        seconds: float = self._ranks.share(stretch.seconds)
        if not self._is_warm:
            if seconds < self._warmup_seconds:
                stretch.due *= 2  # counted in steps, which are the same on all ranks
                return
            due = math.ceil(self._window_seconds * stretch.steps / seconds)
            self._stretch = Stretch(self._read, max(1, due), stretch.end)
            self._is_warm = True
            return
        joules = sum(self._together(self._joules))
        profile.note(stretch.steps / seconds, joules / seconds)
        self._measured = tuple(profile.measured)
        if profile.is_over:
            self._keep(profile)
        else:
            self._set(profile.limit)

    def _keep(self, profile: Profile) -> None:
        self._set(profile.cheapest)
        self._profile = None
        log.info("The power limit is %g W, of %d tried.", profile.cheapest, len(profile.measured))
        if self._memory is not None and self._ranks.rank == 0:
            try:
                self._memory.keep(profile.cheapest, profile.measured, time.time())
            except OSError as error:
                log.warning("The power limit found is not remembered: %s.", error)

    def _read(self) -> tuple[float, float]:
        _synchronize()
        now = self._clock()
        energy = self._meter.read()
        self._flaw = self._flaw or energy.flaw
        return now, energy.joules

    def _joules(self) -> float:
        if self._flaw is not None:
            raise Unsettable(self._flaw.rstrip("."))
        if self._meter.devices and self._stretch.joules <= 0:
            raise Unsettable(f"no energy was measured in {self._stretch.seconds:.1f} seconds")
        return self._stretch.joules

    def _together(self, act: Callable[[], Any]) -> list[Any]:
        """Do something on every rank, and return what came of it on each; refused on one it is on all."""
        try:
            said = ["", act()]
        except Unsettable as error:
            said = [str(error), None]
        everyone = self._ranks.gather(said)
        for each in everyone:
            if each is None or each[0]:
                raise Unsettable("a rank does not answer" if each is None else each[0])
        return [value for _, value in everyone]

    def _give_up(self, reason: Unsettable) -> None:
        if self._ranks.rank == 0:
            log.warning("The power limit stays as it was: %s.", reason)
        self.close()


def _synchronize() -> None:
    """Wait for what PyTorch has given the GPU to do, where it is used: steps are over only then."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
