"""Diagnoses: the right family, its direction and size, in words that say so."""

import numpy as np
import pytest

from core.banners.diagnosis import Diagnosis, describe, diagnose, size_of
from core.banners.templates import FAMILIES
from core.detectors import make
from tests.support.banners import drawn, heatmaps, layout, reference_of

P = layout()
OTHERS = {7: layout(14)}
GRIDS = {7: 312007}

WORDS = [
    ("shifted", {"dx": 0.2, "dy": 0.0}, "Shifted right by 0.20", 0.2),
    ("shifted", {"dx": -0.3, "dy": 0.4}, "Shifted left by 0.30 and down by 0.40", 0.5),
    ("shifted", {"dx": 0.0, "dy": -0.15}, "Shifted up by 0.15", 0.15),
    ("scaled", {"sx": 0.5, "sy": 0.5, "at_x": 0.0, "at_y": 0.0}, "Drawn at 50 % of its size, from the top left", 0.5),
    ("scaled", {"sx": 1.6, "sy": 1.6, "at_x": 0.5, "at_y": 0.5}, "Drawn at 160 % of its size, from the centre", 1.6),
    ("scaled", {"sx": 0.65, "sy": 1.0, "at_x": 0.0, "at_y": 0.5}, "Drawn at 65 % of its width", 0.65),
    ("scaled", {"sx": 1.0, "sy": 1.3, "at_x": 0.5, "at_y": 0.0}, "Drawn at 130 % of its height", 1.3),
    ("mirrored", {"flip": "x"}, "Mirrored left to right", None),
    ("mirrored", {"flip": "y"}, "Mirrored top to bottom", None),
    ("mirrored", {"flip": "xy"}, "Mirrored both ways", None),
    (
        "clipped",
        {"left": 0.6, "top": 0, "right": 1, "bottom": 1, "side": "right"},
        "Clipped: nothing on the right 40 % of the banner is clicked",
        0.4,
    ),
    (
        "clipped",
        {"left": 0, "top": 0, "right": 1, "bottom": 0.35, "side": "top"},
        "Clipped: nothing on the top 35 % of the banner is clicked",
        0.35,
    ),
    ("missing_product", {"left": 0.5, "top": 0.5, "right": 1, "bottom": 1}, "A product seems to be missing at the bottom right", 0.25),
    ("hot_spot", {"x": 0.525, "y": 0.475, "share": 0.75}, "A hot spot in the centre takes about 75 % of the clicks", 0.75),
    ("hot_spot", {"x": 0.1, "y": 0.5, "share": 0.4}, "A hot spot at the left takes about 40 % of the clicks", 0.4),
    ("uniform", {"share": 0.6}, "About 60 % of the clicks fall anywhere, as if at random", 0.6),
    ("edge", {"side": "bottom", "share": 0.9}, "About 90 % of the clicks are along the bottom edge", 0.9),
    ("edge", {"side": "all", "share": 0.4}, "About 40 % of the clicks are along all edges", 0.4),
    ("close_corner", {"x": 0.96, "y": 0.04, "share": 0.65}, "About 65 % of the clicks are on the top right corner", 0.65),
    ("other_grid", {"reference_id": 7}, "Looks like the layout of grid 312007", None),
]


@pytest.mark.parametrize(("fault", "detail", "words", "size"), WORDS)
def test_words_and_sizes(fault: str, detail: dict[str, float], words: str, size: float | None) -> None:
    assert describe(fault, detail, GRIDS) == words
    assert size_of(fault, detail) == (None if size is None else pytest.approx(size))


def test_every_family_has_words() -> None:
    assert {fault for fault, *_ in WORDS} == set(FAMILIES)


def diagnosed(counts: np.ndarray) -> list[Diagnosis]:
    X = heatmaps(counts)
    ratio = make("likelihood_ratio", reference=reference_of(P), others=OTHERS).fit(X, np.zeros(len(X), int))
    return diagnose(ratio.evidence(X), GRIDS)


def image(counts: np.ndarray) -> np.ndarray:
    return counts.reshape(-1, 40, 40)


def test_a_banner_moved_to_the_right_is_said_to_be() -> None:
    clicks = image(drawn(0, [400]))
    right, down = np.zeros_like(clicks), np.zeros_like(clicks)
    right[:, :, 8:] = clicks[:, :, :-8]  # 8 of 40 cells
    down[:, 4:, :] = clicks[:, :-4, :]
    first, second = diagnosed(np.concatenate([right, down]).reshape(2, -1))
    assert first.fault == second.fault == "shifted"
    assert first.size == pytest.approx(0.2, abs=0.051)
    assert first.sentence.startswith("Shifted right by 0.2")
    assert second.sentence.startswith("Shifted down by 0.1")
    assert first.detail is not None
    assert first.detail["dx"] > 0


def test_mirrored_clipped_and_foreign_banners_are_named() -> None:
    clicks = image(drawn(1, [400]))
    cut = clicks.copy()
    cut[:, 20:, :] = 0
    hot = clicks.copy()
    hot[:, 20, 3] += 600
    found = diagnosed(np.concatenate([clicks[:, :, ::-1], cut, hot, image(drawn(2, [400], OTHERS[7]))]).reshape(4, -1))
    assert [d.fault for d in found[:3]] == ["mirrored", "clipped", "hot_spot"]
    assert found[3].fault == "other_grid"
    assert "grid 312007" in found[3].sentence
    assert found[2].sentence.startswith("A hot spot at the left")
    for d in found:
        assert d.log_odds > 0
        assert d.margin >= 0
        assert d.runner_up in FAMILIES
        assert d.runner_up != d.fault
        assert "less likely" in d.sentence


def test_a_banner_in_order_has_no_fault() -> None:
    found = diagnosed(drawn(3, [300, 2000]))
    assert [d.fault for d in found] == [None, None]
    for d in found:
        assert (d.size, d.detail) == (None, None)
        assert d.log_odds <= 0
        assert d.margin >= 0
        assert "no fault explains them better" in d.sentence
