"""The readable measures on maps whose values are known by hand, and features that are free of the click count."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from core.banners.fitting import fit_reference
from core.features.click_features import ClickFeatures
from core.features.click_metrics import NAMES, click_metrics
from core.settings import N_BINS, N_COLS, N_ROWS
from tests.support.banners import drawn, heatmaps, layout, mirrored, sizes

EVEN = np.full(N_BINS, 1 / N_BINS)


def measures(grid: np.ndarray, expected: np.ndarray = EVEN) -> dict[str, float]:
    found = click_metrics(csr_matrix(grid.reshape(1, -1)), expected.reshape(1, -1))[0]
    return dict(zip(NAMES, found.tolist(), strict=True))


def blank() -> np.ndarray:
    return np.zeros((N_ROWS, N_COLS))


def test_one_cell_is_one_peak_without_spread() -> None:
    grid = blank()
    grid[10, 30] = 500
    found = measures(grid)
    assert (found["centroid_x"], found["centroid_y"]) == (pytest.approx(30.5 / 40), pytest.approx(10.5 / 40))
    assert (found["spread_x"], found["spread_y"], found["entropy"]) == (pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-6), 0)
    assert (found["n_peaks"], found["peak_mass"]) == (1, 1)
    assert (found["edge_share"], found["corner_share"]) == (0, 0)
    assert (found["asymmetry_x"], found["asymmetry_y"]) == (1, 1)


def test_an_even_map_is_even_in_every_measure() -> None:
    found = measures(np.full((N_ROWS, N_COLS), 3.0))
    assert (found["centroid_x"], found["centroid_y"]) == (pytest.approx(0.5), pytest.approx(0.5))
    assert found["spread_x"] == pytest.approx(np.sqrt((40**2 - 1) / 12) / 40)  # of a discrete uniform distribution
    assert found["entropy"] == pytest.approx(1)
    assert found["edge_share"] == pytest.approx((1600 - 36 * 36) / 1600)
    assert found["corner_share"] == pytest.approx(4 * 16 / 1600)
    assert (found["asymmetry_x"], found["distance"], found["morans_i"]) == (pytest.approx(0), pytest.approx(0, abs=1e-6), 0)


def test_two_peaks_and_a_slant() -> None:
    grid = blank()
    grid[8, 8], grid[31, 31] = 300, 200
    found = measures(grid)
    assert found["n_peaks"] == 2
    assert found["peak_mass"] == pytest.approx(0.6)
    assert found["slant"] == pytest.approx(1)
    assert measures(grid[::-1])["slant"] == pytest.approx(-1)


def test_a_corner_and_an_edge() -> None:
    grid = blank()
    grid[0, 0], grid[20, 0], grid[20, 20] = 10, 20, 70
    found = measures(grid)
    assert (found["edge_share"], found["corner_share"]) == (pytest.approx(0.3), pytest.approx(0.1))


def test_morans_i_against_its_definition() -> None:
    rng = np.random.default_rng(0)
    for grid in (
        np.indices((N_ROWS, N_COLS)).sum(axis=0) % 2 * 5.0,
        rng.random((N_ROWS, N_COLS)),
        np.outer(np.arange(40), np.arange(40)) * 1.0,
    ):
        z, top, n = grid / grid.sum() - EVEN[0], 0.0, 0
        for r in range(N_ROWS):
            for c in range(N_COLS):
                for other in ((r + 1, c), (r, c + 1)):
                    if other[0] < N_ROWS and other[1] < N_COLS:
                        top, n = top + z[r, c] * z[other], n + 1
        assert measures(grid)["morans_i"] == pytest.approx(top / n / np.mean(z**2))


def test_the_distance_is_one_where_nothing_is_shared() -> None:
    grid, expected = blank(), blank()
    grid[0, 0], expected[39, 39] = 50, 1
    assert measures(grid, expected.ravel())["distance"] == pytest.approx(1)


def test_a_map_without_clicks_is_an_even_one() -> None:
    found = measures(blank())
    assert np.isfinite(list(found.values())).all()
    assert (found["centroid_x"], found["distance"]) == (pytest.approx(0.5), 0)


def test_features_do_not_depend_on_company_nor_on_the_click_count() -> None:
    X = heatmaps(drawn(0, sizes(0, 400), layout()))
    made = ClickFeatures(fit_reference(X)).fit(X)
    features = made.transform(X)
    assert features.shape == (400, len(made.names))
    for row in (0, 17, 399):
        np.testing.assert_allclose(made.transform(X.take(np.array([row])))[0], features[row], rtol=1e-5, atol=1e-5)
    clicks = np.log(X.n_clicks)
    trend = [abs(np.corrcoef(clicks, column)[0, 1]) for column in features.T]
    assert max(trend) < 0.3
    raw = np.corrcoef(clicks, click_metrics(X.counts, np.tile(EVEN, (400, 1)))[:, list(NAMES).index("distance")])[0, 1]
    assert raw < -0.5  # before it is freed of the number of clicks
    assert np.abs(np.median(features, axis=0)).max() < 0.3


def test_features_part_broken_banners_from_others() -> None:
    counts = drawn(1, np.full(300, 200), layout())
    counts[:20] = mirrored(counts[:20])
    X = heatmaps(counts)
    features = ClickFeatures(fit_reference(X)).fit(X).transform(X)
    far = np.sqrt((features**2).mean(axis=1))
    assert np.median(far[:20]) > 2 * np.median(far[20:])


def test_features_of_those_learned_from_are_the_same_made_at_once_or_later() -> None:
    X = heatmaps(drawn(3, sizes(3, 80), layout()))
    at_once, later = ClickFeatures(fit_reference(X)), ClickFeatures(fit_reference(X))
    np.testing.assert_array_equal(at_once.fit_transform(X), later.fit(X).transform(X))


def test_one_banner_alone_has_features_of_zero() -> None:
    X = heatmaps(drawn(2, np.array([50]), layout()))
    assert np.isfinite(ClickFeatures(fit_reference(X)).fit(X).transform(X)).all()
