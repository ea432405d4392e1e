"""Images of digits in the format of MNIST, drawn stroke by stroke: every image is another handwriting."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIDE = 28
"""Pixels of an image's side."""
CLASSES = 10
AT_ONCE = 500
"""Images drawn at a time."""

Floats = NDArray[np.float32]

_STROKES: tuple[tuple[tuple[float, float], ...], ...] = (
    ((0.5, 0.1), (0.25, 0.3), (0.25, 0.7), (0.5, 0.9), (0.75, 0.7), (0.75, 0.3), (0.5, 0.1)),
    ((0.35, 0.25), (0.55, 0.1), (0.55, 0.5), (0.55, 0.9)),
    ((0.25, 0.3), (0.45, 0.1), (0.7, 0.2), (0.7, 0.4), (0.25, 0.9), (0.75, 0.9)),
    ((0.25, 0.15), (0.6, 0.1), (0.7, 0.3), (0.45, 0.45), (0.75, 0.65), (0.6, 0.9), (0.25, 0.85)),
    ((0.6, 0.9), (0.6, 0.1), (0.25, 0.6), (0.8, 0.6)),
    ((0.7, 0.1), (0.3, 0.1), (0.3, 0.45), (0.6, 0.45), (0.75, 0.65), (0.6, 0.9), (0.25, 0.85)),
    ((0.65, 0.1), (0.35, 0.35), (0.25, 0.7), (0.5, 0.9), (0.75, 0.7), (0.55, 0.5), (0.3, 0.65)),
    ((0.25, 0.1), (0.75, 0.1), (0.55, 0.5), (0.4, 0.9)),
    (
        (0.5, 0.5),
        (0.3, 0.3),
        (0.5, 0.1),
        (0.7, 0.3),
        (0.5, 0.5),
        (0.3, 0.7),
        (0.5, 0.9),
        (0.7, 0.7),
        (0.5, 0.5),
    ),
    ((0.7, 0.3), (0.5, 0.1), (0.3, 0.3), (0.5, 0.5), (0.7, 0.3), (0.65, 0.9)),
)
"""The points that a pen goes through for each digit, in a unit square whose y axis points down."""


class Images(NamedTuple):
    """Images of shape (count, 784), grey from 0 to 255, and the digit that each shows."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


def drawn(count: int, seed: int) -> Images:
    """Draw so many digits, of all ten alike; the same seed draws the same."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=count)
    pixels = np.empty((count, SIDE * SIDE), np.uint8)
    for digit in range(CLASSES):
        where = np.flatnonzero(labels == digit)
        for some in np.split(where, range(AT_ONCE, len(where), AT_ONCE)):
            pixels[some] = _rendered(_handwritten(digit, len(some), rng), rng)
    return Images(pixels, labels)


def _handwritten(digit: int, count: int, rng: np.random.Generator) -> Floats:
    """Return the strokes of one digit as so many hands write it: (count, points, 2)."""
    points = np.array(_STROKES[digit]) - 0.5
    points = points + rng.normal(0, 0.045, (count, *points.shape))
    angle = rng.normal(0, 0.22, count)
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], 1).reshape(-1, 2, 2)
    slant = np.zeros((count, 2, 2)) + np.eye(2)
    slant[:, 0, 1] = rng.normal(0, 0.25, count)
    size = rng.uniform(0.55, 0.95, (count, 1, 2))
    place = 0.5 + rng.normal(0, 0.06, (count, 1, 2))
    return np.asarray(size * (points @ slant @ turn) + place, np.float32)


def _rendered(strokes: Floats, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw strokes, each image with a pen of its own, on noisy paper: (count, 784)."""
    count = len(strokes)
    start, along = strokes[:, :-1, None], np.diff(strokes, axis=1)[:, :, None]
    axis = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    pixels = np.stack(np.meshgrid(axis, axis), -1).reshape(1, 1, -1, 2)
    from_start = pixels - start
    length = np.maximum((along**2).sum(-1), 1e-6)
    part = np.clip((from_start * along).sum(-1) / length, 0, 1)
    distance = np.sqrt(((from_start - part[..., None] * along) ** 2).sum(-1).min(1))
    pen = rng.uniform(0.02, 0.055, (count, 1))
    ink = np.clip(1 - (distance - pen) * SIDE, 0, 1) * rng.uniform(0.5, 1, (count, 1))
    return np.asarray(255 * np.clip(ink + rng.normal(0, 0.25, ink.shape), 0, 1), np.uint8)
