"""A figure: its frame, its axes, its marks and their key; numbers are in units of its ``viewBox``."""

from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

WIDTH = 560.0


class Shape(StrEnum):
    """What tells marks apart beside their colour."""

    DOT = "dot"
    RING = "ring"
    CROSS = "cross"
    TRIANGLE = "triangle"
    LINE = "line"
    DASHES = "dashes"
    POST = "post"
    BAR = "bar"
    INTERVAL = "interval"


class Frame(Struct, frozen=True):
    """The area in which marks lie, and the whole ``height``; beside it is room for ticks and titles."""

    height: float
    left: float = 62.0
    top: float = 24.0
    right: float = WIDTH - 14.0
    below: float = 46.0

    @property
    def bottom(self) -> float:
        """Return where the area ends."""
        return self.height - self.below

    @property
    def width(self) -> float:
        """Return the width of the area."""
        return self.right - self.left


class Tick(Struct, frozen=True):
    """A place on an axis and what it says; ``is_minor`` where it goes when there is little room."""

    place: float
    label: str
    is_minor: bool = False


class Axis(Struct, frozen=True):
    """Ticks, and what they measure."""

    title: str
    ticks: tuple[Tick, ...]


class Point(Struct, frozen=True):
    """A mark at a place; ``name`` is what a script finds it by."""

    form: ClassVar[str] = "point"
    x: float
    y: float
    shape: Shape
    style: str
    title: str = ""
    size: float = 3.0
    name: str = ""


class Path(Struct, frozen=True):
    """A line, or what it encloses."""

    form: ClassVar[str] = "path"
    d: str
    style: str
    title: str = ""


class Bar(Struct, frozen=True):
    """A rectangle."""

    form: ClassVar[str] = "bar"
    x: float
    y: float
    width: float
    height: float
    style: str
    title: str = ""


class Note(Struct, frozen=True):
    """Words at a place; ``anchor`` is which end of them is there."""

    form: ClassVar[str] = "note"
    x: float
    y: float
    text: str
    style: str = ""
    anchor: str = "middle"
    name: str = ""


Mark = Point | Path | Bar | Note


class Key(Struct, frozen=True):
    """What a kind of mark means."""

    label: str
    shape: Shape
    style: str


class Figure(Struct, frozen=True, kw_only=True):
    """A drawing; ``description`` says in words what it shows, ``caption`` how to read it.

    ``marks`` are drawn one after another, the last on top.
    """

    name: str
    title: str
    description: str
    caption: str = ""
    frame: Frame
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    keys: tuple[Key, ...] = ()


def polyline(points: list[tuple[float, float]]) -> str:
    """Return the path through points."""
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points) if points else ""


def area(upper: list[tuple[float, float]], lower: list[tuple[float, float]]) -> str:
    """Return the path around what lies between two lines."""
    return polyline([*upper, *reversed(lower)]) + "Z" if upper else ""
