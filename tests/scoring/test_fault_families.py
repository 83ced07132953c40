"""Families of faults: what a fifth of a grid shares is flagged, what good banners differ in is not."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps, concatenated
from core.detectors import CATALOGUE, default_names
from core.scoring.grid import score_grid
from core.scoring.judging import About, Judged, judge
from core.scoring.parts import grid_of
from tests.support.banners import drawn, heatmaps, layout, mirrored, sizes

NAMES = [name for name in default_names() if not CATALOGUE[name].deep]
REAL = Path(__file__).parents[3] / "shared" / "data" / "real"


def flagged(X: Heatmaps) -> Judged:
    reference = fit_reference(X)
    parts = [score_grid(X.take(np.flatnonzero(X.grid_id == g)), reference, NAMES, lambda what: None) for g in np.unique(X.grid_id)]
    scores = {name: np.concatenate([part.scores[name] for part in parts]) for name in NAMES}
    return judge(scores, About(*(np.concatenate([getattr(part, c) for part in parts]) for c in About._fields)), 0.1)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.2, 0.25])
def test_a_mirror_image_that_many_share_is_flagged(share: float) -> None:
    n = 400
    p = layout(3) + 0.3 * mirrored(layout(3)[None])[0]
    counts = drawn(8, sizes(8, n), p / p.sum())
    broken = np.arange(n) < share * n
    counts[broken] = mirrored(counts[broken])
    found = flagged(heatmaps(counts)).flagged
    assert found[broken].mean() > 0.85
    assert found[~broken].mean() < 0.03


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_good_banners_that_differ_among_each_other_are_hardly_flagged(spread: float) -> None:
    n, rng = 600, np.random.default_rng(9)
    weights = rng.lognormal(0, spread, (n, 16)) @ np.kron(
        np.eye(16), np.ones((1, 100))
    )  # what each part of the banner is worth to visitors
    p = weights * layout()
    counts = np.array([rng.multinomial(k, row / row.sum()) for k, row in zip(sizes(9, n), p, strict=True)])
    assert flagged(heatmaps(counts)).flagged.mean() < 0.01


def test_without_the_templates_the_vote_decides() -> None:
    X = heatmaps(drawn(10, sizes(10, 80)))
    part = score_grid(X, fit_reference(X), ["multinomial_10", "jensen_shannon"], lambda what: None)
    about = About(*(getattr(part, c) for c in About._fields))
    assert not part.evidence.size
    np.testing.assert_array_equal(judge(part.scores, about, 0.1).combined, judge(part.scores, about._replace(evidence=None), 0.1).combined)


def real(name: str) -> tuple[Heatmaps, np.ndarray]:
    """Heatmaps of a set of real people's clicks, and which banners are broken."""
    folder = REAL / name
    if not folder.exists():
        pytest.skip("real people's clicks are not on this machine")
    rows = (
        duckdb.sql(f"""
        WITH click AS (SELECT *, clicked_at::DATE AS day,
            least(floor(click_y_rel * 40), 39)::INT * 40 + least(floor(click_x_rel * 40), 39)::INT AS bin
            FROM '{folder}/clicks.parquet' WHERE click_x_rel BETWEEN 0 AND 1 AND click_y_rel BETWEEN 0 AND 1),
        cell AS (SELECT banner_id, any_value(grid_id) AS grid_id, any_value(n_products)::SMALLINT AS n_products,
            any_value(domain) AS domain, day, bin, count(*)::UINTEGER AS n FROM click GROUP BY banner_id, day, bin)
        SELECT banner_id, any_value(grid_id) AS grid_id, any_value(n_products) AS n_products, any_value(domain) AS domain, day,
            list(bin::USMALLINT ORDER BY bin) AS bins, list(n ORDER BY bin) AS counts FROM cell GROUP BY banner_id, day""")
    ).to_arrow_table()
    grids = pc.unique(rows["grid_id"]).to_pylist()
    X = concatenated([grid_of(rows.filter(pc.equal(rows["grid_id"], pa.scalar(g))), g).heatmaps for g in sorted(grids)])
    truth = duckdb.sql(f"SELECT banner_id FROM '{folder}/truth.csv' WHERE broken::INT = 1").fetchall()
    return X, np.isin(X.banner_id.astype(str), [row[0] for row in truth])


@pytest.mark.parametrize(("name", "least"), [("coltag_20pc_mirrored", 0.85), ("coltag_10pc_mirrored", 0.8), ("fiwi5_20pc_mirrored", 0.65)])
def test_a_fault_that_many_real_banners_share_is_flagged(name: str, least: float) -> None:
    X, broken = real(name)
    found = flagged(X).flagged
    assert 2 * (found & broken).sum() / (found.sum() + broken.sum()) >= least


@pytest.mark.parametrize("name", ["coltag_none", "coltag_dealt_none"])
def test_real_banners_that_are_ok_are_hardly_flagged(name: str) -> None:
    X, _ = real(name)
    assert flagged(X).flagged.mean() < 0.003
