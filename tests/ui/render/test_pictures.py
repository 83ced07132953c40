"""Maps side by side on one scale: what is drawn is what was counted."""

import base64
import io
import re

import numpy as np
from PIL import Image

from core.ui.render import palette, pictures
from core.ui.render.pictures import Picture


def drawn(url: str) -> np.ndarray:
    """(40, 40) colour levels of a picture."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))


def test_more_clicks_are_a_higher_level_and_none_is_level_zero() -> None:
    image = np.zeros((40, 40))
    image[3, 5], image[0, 39], image[20, 20], image[21, 20] = 1, 4, 100, 1e-9
    level = drawn(pictures.data_url(image, 16, palette.DARK.ramp))
    top = pictures.LEVELS - 1
    assert level[0, 0] == 0
    assert (level[3, 5], level[0, 39], level[20, 20]) == (round(top / 4), round(top / 2), top)
    assert level[21, 20] == 1, "hardly anything is not nothing"


def test_an_outline_runs_around_the_cells_that_hold_the_share() -> None:
    expected = np.zeros((40, 40))
    expected[10:20, 25:35] = 1
    path = pictures.outline(expected, 0.7)
    flat = {(int(x), int(y)) for x, y in re.findall(r"M(\d+) (\d+)h1", path)}
    upright = {(int(x), int(y)) for x, y in re.findall(r"M(\d+) (\d+)v1", path)}
    # walking from the left, a cell is inside after an odd number of upright lines
    inside = np.array([[sum((x, y) in upright for x in range(c + 1)) % 2 for c in range(40)] for y in range(40)], dtype=bool)
    assert inside[14, 29]
    assert not inside[5, 5]
    smooth = pictures.maps.smooth(expected, pictures.OUTLINE_SIGMA)
    assert smooth[inside].sum() >= 0.7 * smooth.sum()
    assert smooth[inside].sum() - smooth[inside].min() * 9 < 0.7 * smooth.sum(), "no more cells than needed, but for ties"
    assert smooth[inside].min() >= smooth[~inside].max()
    assert len(flat) == sum(np.diff(np.pad(inside, 1).astype(int), axis=0).astype(bool).ravel())


def test_a_board_shares_one_scale_and_says_what_is_what() -> None:
    rng = np.random.default_rng(0)
    maps = [rng.poisson(1.0, (40, 40)).astype(float) for _ in range(3)]
    shown = [Picture(image, f"map {k} <b>", 100, k == 0) for k, image in enumerate(maps)]
    html = pictures.board(shown[0], shown[1], shown[2:], "one & all", palette.LIGHT, smooth=False)
    top = pictures.common_top(maps)
    for image in maps:
        assert pictures.data_url(image, top, palette.LIGHT.ramp) in html
    assert "map 0 &lt;b&gt;" in html
    assert "one &amp; all" in html
    assert "outline of the expected clicks" in html
    without = pictures.board(shown[0]._replace(outlined=False), None, [], "", palette.DARK, smooth=True)
    assert "outline" not in without
