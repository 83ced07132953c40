"""Fault templates: every family by hand, and every template built anew from its family and detail."""

import numpy as np
import pytest

from core.banners.templates import FAMILIES, NOISE, make_bank, template_of
from core.errors import ContractError
from core.settings import N_BINS
from tests.support.banners import layout

P = layout()
OTHERS = {11: layout(12), 12: layout(6)}
BANK = make_bank(P, OTHERS)
TEMPLATES = np.exp(BANK.log_ratio.T) * P


def image(p: np.ndarray) -> np.ndarray:
    """(40, 40) without the noise of the templates."""
    return ((p - NOISE / N_BINS) / (1 - NOISE)).reshape(40, 40)


def spot(row: int, col: int) -> np.ndarray:
    p = np.zeros((40, 40))
    p[row, col] = 1
    return p.ravel()


def test_a_bank_holds_distributions_of_every_family() -> None:
    np.testing.assert_allclose(TEMPLATES.sum(axis=1), 1, rtol=1e-5)
    assert (TEMPLATES > 0).all()
    assert len(BANK.details) == len(TEMPLATES)
    assert BANK.spans[0][0] == 0
    assert BANK.spans[-1][1] == len(TEMPLATES)
    assert all(stop > start for start, stop in BANK.spans)
    assert all(BANK.spans[k][1] == BANK.spans[k + 1][0] for k in range(len(FAMILIES) - 1))


def test_every_template_can_be_built_anew() -> None:
    for family, (start, stop) in zip(FAMILIES, BANK.spans, strict=True):
        for k in range(start, stop):
            other = OTHERS.get(BANK.details[k].get("reference_id", 0))
            np.testing.assert_allclose(template_of(P, family, BANK.details[k], other), TEMPLATES[k], rtol=1e-4, atol=1e-9)


def test_a_bank_at_some_cells_says_the_same_of_these() -> None:
    cells = np.array([0, 7, 803, 1599])
    some = make_bank(P, OTHERS, cells)
    np.testing.assert_allclose(some.log_ratio, BANK.log_ratio[cells], rtol=1e-5, atol=1e-5)
    assert (some.spans, some.details) == (BANK.spans, BANK.details)


def test_a_shift_moves_the_clicks_by_its_size() -> None:
    # Three cells are 0.075 of the side, two are 0.05: down three, right two.
    moved = image(template_of(spot(10, 20), "shifted", {"dx": 0.05, "dy": 0.075}))
    assert moved[13, 22] == pytest.approx(1)
    left_up = image(template_of(spot(10, 20), "shifted", {"dx": -0.25, "dy": -0.1}))
    assert left_up[6, 10] == pytest.approx(1)


def test_half_a_cell_is_shared_by_two() -> None:
    moved = image(template_of(spot(10, 20), "shifted", {"dx": 0.0125, "dy": 0.0}))
    assert moved[10, 20] == pytest.approx(0.5)
    assert moved[10, 21] == pytest.approx(0.5)


def test_what_is_moved_out_is_gone() -> None:
    both = (spot(10, 39) + spot(10, 5)) / 2
    moved = image(template_of(both, "shifted", {"dx": 0.05, "dy": 0.0}))
    assert moved[10, 7] == pytest.approx(1)  # the other half left the banner; what remains sums to 1


@pytest.mark.parametrize(("flip", "row", "col"), [("x", 10, 34), ("y", 29, 5), ("xy", 29, 34)])
def test_mirrors(flip: str, row: int, col: int) -> None:
    assert image(template_of(spot(10, 5), "mirrored", {"flip": flip}))[row, col] == pytest.approx(1)
    once = image(template_of(P, "mirrored", {"flip": flip})).ravel()
    np.testing.assert_allclose(image(template_of(once, "mirrored", {"flip": flip})).ravel(), P, atol=1e-12)


def test_a_scale_of_one_half_from_the_corner_halves_the_distance() -> None:
    detail = {"sx": 0.5, "sy": 0.5, "at_x": 0.0, "at_y": 0.0}
    block = np.zeros((40, 40))
    block[20:24, 12:16] = 1 / 16
    half = image(template_of(block.ravel(), "scaled", detail))
    assert half[10:12, 6:8].sum() == pytest.approx(1)
    middle = image(template_of(block.ravel(), "scaled", {"sx": 1.0, "sy": 0.5, "at_x": 0.5, "at_y": 0.5}))
    assert middle[20:22, 12:16].sum() == pytest.approx(1)  # rows 0..4 below the centre become 0..2 below it


def test_a_region_taken_away_is_empty_but_for_noise() -> None:
    cut = {"left": 0.5, "top": 0.0, "right": 1.0, "bottom": 1.0, "side": "right"}
    p = template_of(P, "clipped", cut).reshape(40, 40)
    np.testing.assert_allclose(p[:, 20:], NOISE / N_BINS, rtol=1e-6)
    kept = P.reshape(40, 40)[:, :20]
    np.testing.assert_allclose(image(p.ravel())[:, :20], kept / kept.sum())
    gone = template_of(P, "missing_product", {"left": 0.0, "top": 0.5, "right": 1.0, "bottom": 1.0}).reshape(40, 40)
    np.testing.assert_allclose(gone[20:], NOISE / N_BINS, rtol=1e-6)
    assert gone[:20].sum() > 0.97


def test_added_clicks_take_their_share() -> None:
    np.testing.assert_allclose(image(template_of(P, "uniform", {"share": 1.0})), 1 / N_BINS)
    hot = image(template_of(P, "hot_spot", {"x": 0.5125, "y": 0.2625, "share": 0.75}))
    assert hot.argmax() == 10 * 40 + 20
    assert hot[6:15, 16:25].sum() == pytest.approx(0.75 + 0.25 * P.reshape(40, 40)[6:15, 16:25].sum(), abs=1e-3)
    corner = image(template_of(P, "close_corner", {"x": 0.96, "y": 0.04, "share": 0.9}))
    assert corner[:6, 34:].sum() > 0.89
    for side, part in {"left": np.s_[:, :5], "right": np.s_[:, 35:], "top": np.s_[:5], "bottom": np.s_[35:]}.items():
        assert image(template_of(P, "edge", {"side": side, "share": 0.9}))[part].sum() > 0.89


def test_another_grid_is_that_grid() -> None:
    np.testing.assert_allclose(image(template_of(P, "other_grid", {"reference_id": 11}, OTHERS[11])).ravel(), OTHERS[11])


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ContractError, match="'melted'"):
        template_of(P, "melted", {})


def test_a_single_grid_has_no_others() -> None:
    start, stop = make_bank(P, {}).spans[FAMILIES.index("other_grid")]
    assert start == stop
