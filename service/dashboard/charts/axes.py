"""Axes: ticks in the unit that reads best."""

from collections.abc import Collection, Iterable

from service.dashboard.charts.figure import Axis, Tick
from service.dashboard.charts.scales import Linear, Scale, spread, steps, whole_steps
from service.views.figures import MINUS, count, percent

Units = tuple[tuple[float, str], ...]

ENERGY: Units = ((1e15, "PJ"), (1e12, "TJ"), (1e9, "GJ"), (1e6, "MJ"), (1e3, "kJ"), (1.0, "J"))
TIME: Units = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))
MOST_TICKS = 6
LEAST = 2.0
"""How many of a unit there are where it is used."""
DIGITS = 1e6
"""Beyond so many units, or below one by so many, a tick is written with an exponent."""
PLACES = 9
APART = 30.0
"""Between the middles of two labels below an axis."""


def measured(title: str, scale: Linear, units: Units, most: int = MOST_TICKS) -> Axis:
    """Return the axis of a scale of joules or seconds, its title with the unit that is used."""
    size = max(abs(scale.low), abs(scale.high))
    factor, unit = next((each for each in units if size >= LEAST * each[0]), units[-1])
    values = steps(scale.low / factor, scale.high / factor, most)
    step = values[1] - values[0] if len(values) > 1 else abs(values[0]) if values else 1.0
    ticks = tuple(Tick(scale(value * factor), _written(value, step)) for value in values)
    return Axis(f"{title} ({unit})", ticks)


def percents(title: str, scale: Linear) -> Axis:
    """Return the axis of a scale of shares."""
    return Axis(title, tuple(Tick(scale(part), percent(part)) for part in (0, 0.25, 0.5, 0.75, 1)))


def numbers(title: str, scale: Linear, most: int = 8) -> Axis:
    """Return the axis of a scale of trial numbers; every second tick is minor."""
    values = whole_steps(int(scale.low + 0.5), int(scale.high), most)
    return Axis(
        title, tuple(Tick(scale(value), count(value), bool(at % 2)) for at, value in enumerate(values))
    )


def sizes(title: str, scale: Scale, batch_sizes: Iterable[int], kept: Collection[int]) -> Axis:
    """Return the axis of batch sizes, as many as there is room for; those kept come first."""
    places = [(scale(size), size) for size in batch_sizes]
    shown = list(spread(places, APART, kept))
    minor = set(shown[1::2]) - set(kept) if len(shown) > MOST_TICKS else set()
    return Axis(title, tuple(Tick(scale(size), str(size), size in minor) for size in shown))


def _written(value: float, step: float) -> str:
    if not 1 / DIGITS < abs(step) < DIGITS or abs(value) >= DIGITS:
        return f"{value:.3g}"
    decimals = len(f"{step:.{PLACES}f}".rstrip("0").partition(".")[2])
    return f"{value:,.{decimals}f}".replace("-", MINUS)
