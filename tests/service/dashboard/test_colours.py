"""What is told by colour is seen in light and dark, and with red-green and blue-yellow blindness."""

import re
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import ROOT

Colour = NDArray[np.float64]
"""Linear red, green and blue, from 0 to 1."""

STYLE = (ROOT / "service" / "dashboard" / "static" / "style.css").read_text()
LIGHT, DARK = STYLE.split("@media (prefers-color-scheme: dark)")[:2]
TEXTS = ("text", "muted", "accent", "good", "bad", "warn")
SERIES = [f"series-{number}" for number in range(1, 9)]
# G. M. Machado et al., "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009, at
# severity 1.
SIGHTS = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
TOLD_APART = 20.0
"""In CIE 1976 colour difference, of which 2 can just be seen side by side."""


def colours(text: str) -> dict[str, Colour]:
    """Return the colours that a part of the style sheet names."""
    found = re.findall(r"--([\w-]+): #([0-9a-f]{6});", text)
    return {name: linear(bytes.fromhex(digits)) for name, digits in found}


def linear(components: bytes) -> Colour:
    """Return a colour of sRGB."""
    parts = np.frombuffer(components, np.uint8) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast of two colours as WCAG 2.2 has it."""
    low, high = sorted(float(TO_XYZ[1] @ colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(colour: Colour) -> Colour:
    """Return a colour in CIELAB."""
    x, y, z = TO_XYZ @ np.clip(colour, 0, 1) / np.array([0.9505, 1, 1.089])
    f = [np.cbrt(part) if part > 0.008856 else 7.787 * part + 16 / 116 for part in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_stand_out(scheme: str) -> None:
    named = colours(scheme)
    for ground in ("bg", "surface"):
        assert {name for name in TEXTS if contrast(named[name], named[ground]) < 4.5} == set()


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_series_stand_out(scheme: str) -> None:
    named = colours(scheme)
    assert {name for name in SERIES if contrast(named[name], named["surface"]) < 3} == set()


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("sight", SIGHTS)
def test_series_are_told_apart(scheme: str, sight: str) -> None:
    named = colours(scheme)
    seen = {name: lab(SIGHTS[sight] @ named[name]) for name in SERIES}
    alike = {
        (one, other)
        for one, other in combinations(SERIES, 2)
        if np.linalg.norm(seen[one] - seen[other]) < TOLD_APART
    }
    assert alike == set()
