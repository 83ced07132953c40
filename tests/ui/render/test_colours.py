"""Colours of counts and of differences: what they mean, for every eye, in both themes; and how far a scale reaches."""

import base64
import io
import tomllib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.settings import N_BINS
from core.ui.render import cells as maps
from core.ui.render import charts, palette, pictures, thumbnails
from core.ui.render.palette import Ramp

EYES = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Machado, Oliveira and Fernandes 2009, severity 1, over linear RGB."""
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
RAMPS = [(name, dark) for name in palette.RAMPS for dark in (False, True)]
SEEN_APART = 6.0
"""CIE76 distance between neighbouring steps at least; about 2.3 is just noticeable side by side."""


def lab(colour: str, eye: str = "normal") -> np.ndarray:
    """CIELAB (D65) of #RRGGBB as an eye sees it."""
    value = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(np.asarray(EYES[eye]) @ linear, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def apart(first: str, second: str, eye: str = "normal") -> float:
    return float(np.linalg.norm(lab(first, eye) - lab(second, eye)))


def test_lab_by_hand() -> None:
    assert lab("#FFFFFF") == pytest.approx([100, 0, 0], abs=0.01)
    assert lab("#FF0000") == pytest.approx([53.24, 80.09, 67.20], abs=0.05)


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize(("name", "dark"), RAMPS)
def test_more_clicks_are_one_way_in_lightness_and_every_step_shows(name: str, dark: bool, eye: str) -> None:
    ramp = palette.RAMPS[name][dark]
    colours = [ramp.zero, *ramp.steps]
    steps = np.diff([lab(colour, eye)[0] for colour in colours])
    assert (steps > 0).all() or (steps < 0).all(), f"lightness turns back: {steps.round(1)}"
    assert min(apart(a, b, eye) for a, b in pairwise(colours)) >= SEEN_APART
    assert apart(ramp.zero, ramp.steps[0], eye) >= 10, "none and one click differ at a glance"


@pytest.mark.parametrize("name", ["heat", "mono"])
def test_more_is_farther_from_the_page_in_both_themes(name: str) -> None:
    for dark, theme in ((False, palette.LIGHT), (True, palette.DARK)):
        ramp = palette.RAMPS[name][dark]
        far = [abs(lab(colour)[0] - lab(theme.paper)[0]) for colour in (ramp.zero, *ramp.steps)]
        assert far == sorted(far)
        assert far[0] < 3, "no click looks like the page"
        assert far[-1] > 75


def test_cividis_means_the_same_on_both() -> None:
    assert palette.RAMPS["cividis"][False] == palette.RAMPS["cividis"][True]


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("theme", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_differences_are_neutral_in_the_middle_and_symmetric(theme: palette.Theme, eye: str) -> None:
    colours = theme.diverging
    middle = len(colours) // 2
    light = np.array([lab(colour, eye)[0] for colour in colours])
    assert apart(colours[middle], theme.paper) < 8, "zero looks like the page"
    for side in (light[middle:], light[middle::-1]):
        assert (np.diff(side) > 0).all() or (np.diff(side) < 0).all()
    assert np.abs(light - light[::-1]).max() < 16, "neither sign shouts the other down"
    for k in range(1, middle + 1):
        assert apart(colours[middle - k], colours[middle + k], eye) > 15, "more and fewer differ in hue for every eye"


def test_the_framework_draws_by_the_same_colours() -> None:
    config = tomllib.loads((Path(__file__).parents[3] / ".streamlit/config.toml").read_text())["theme"]
    for dark, name in ((False, "light"), (True, "dark")):
        assert config[name]["chartSequentialColors"] == list(palette.RAMPS["heat"][dark].steps)
        diverging = palette.DIVERGING[dark]
        assert config[name]["chartDivergingColors"] == [c for k, c in enumerate(diverging) if k != len(diverging) // 2]


def colour_at(figure: charts.Figure, row: int, col: int) -> np.ndarray:
    """RGB of a cell as Plotly fills it."""
    trace = figure["data"][0]
    at = (float(trace["z"][row, col]) - trace["zmin"]) / (trace["zmax"] - trace["zmin"])
    places, colours = zip(*trace["colorscale"], strict=True)
    rgb = np.array([[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in colours], dtype=float)
    return np.array([np.interp(at, places, rgb[:, k]) for k in range(3)])


def distance(first: np.ndarray, second: np.ndarray) -> float:
    return apart(*(f"#{''.join(f'{round(v):02X}' for v in rgb)}" for rgb in (first, second)))


def hot(n: int) -> np.ndarray:
    """A map of one loud cell beside some of one and two clicks."""
    image = np.zeros((40, 40))
    image[0, 0], image[5, 5], image[6, 6], image[7, 7] = n, 2, 1, 2
    return image


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("n", [5, 55, 1000, 100_000])
@pytest.mark.parametrize(("name", "dark"), RAMPS)
def test_one_loud_cell_never_looks_like_a_cell_of_two(name: str, dark: bool, n: int, log: bool) -> None:
    image = hot(n)
    figure = charts.counts(image, palette.theme(dark, name), top=maps.limit(image), log=log)
    none, one, two, loud = (colour_at(figure, k, k) for k in (1, 6, 5, 0))
    assert distance(loud, two) > 20
    assert distance(none, one) >= 10
    assert figure["data"][0]["colorbar"]["ticktext"][-1] == f"{n:,}"


def test_a_square_root_stands_between_one_and_the_top() -> None:
    figure = charts.counts(hot(100), palette.LIGHT, top=100)
    z = figure["data"][0]["z"]
    assert (z[0, 0], z[5, 5], z[6, 6], z[1, 1]) == (10, pytest.approx(2**0.5), 1, 0)
    assert figure["data"][0]["colorscale"][1] == (pytest.approx(0.1), palette.LIGHT.ramp.steps[0])


def rgb_of(url: str) -> np.ndarray:
    """(40, 40, 3) colours of a picture."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"), dtype=float)


@pytest.mark.parametrize("ramp", [palette.RAMPS[name][dark] for name, dark in RAMPS], ids=[f"{n}-{d}" for n, d in RAMPS])
def test_pictures_of_counts_tell_none_from_one_and_two_from_many(ramp: Ramp) -> None:
    image = hot(2000)
    seen = rgb_of(pictures.data_url(image, pictures.common_top([image]), ramp))
    assert distance(seen[1, 1], seen[6, 6]) >= 10
    assert distance(seen[0, 0], seen[5, 5]) > 20


def test_thumbnails_side_by_side_share_one_scale() -> None:
    even, spot = np.ones(N_BINS), np.ones(N_BINS)
    spot[0] = 2000
    ramp = palette.LIGHT.ramp
    kept = thumbnails.Thumbnails()
    alone = kept.of("r", ["even"], ramp, lambda ids: {"even": even})["even"]
    beside = kept.of("r", ["even", "spot"], ramp, lambda ids: dict.fromkeys(ids, spot))
    assert alone != beside["even"], "beside a hot spot the same banner is drawn on the scale of both"
    pale, loud = (rgb_of(beside[b])[0, 0] for b in ("even", "spot"))
    assert distance(pale, loud) > 40
    many = kept.of("r", ["ten times"], ramp, lambda ids: {"ten times": 10 * even})["ten times"]
    assert many == alone, "shares, not counts: a banner with ten times the clicks looks the same"


def test_differences_are_drawn_without_clipping_what_matters() -> None:
    z = np.zeros((40, 40))
    z[0, 0], z[1, 1], z[2, 2] = 55, 2, -2
    figure = charts.difference(z, palette.LIGHT)
    trace = figure["data"][0]
    assert trace["zmax"] == -trace["zmin"] == pytest.approx(55**0.5)
    assert distance(colour_at(figure, 0, 0), colour_at(figure, 1, 1)) > 40
    assert distance(colour_at(figure, 1, 1), colour_at(figure, 2, 2)) > 15
    assert not any("\u2265" in words for words in trace["colorbar"]["ticktext"])
    assert "\u2265 100" in charts.difference(9 * z, palette.LIGHT)["data"][0]["colorbar"]["ticktext"]
