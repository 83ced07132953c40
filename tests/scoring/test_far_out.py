"""Banners far out in clicks: they do not bend what is expected at their own place, and more clicks of a fault only make it clearer."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.banners.fitting import fit_reference
from core.clicks.ingest import ingest
from core.runs import run
from core.scoring.grid import score_grid
from core.scoring.judging import About, Judged, judge
from core.settings import FDR
from core.statistics.normalise import Normaliser, bulk
from core.statistics.p_values import EmpiricalNull, benjamini_hochberg
from core.store import Store
from tests.support.banners import drawn, heatmaps

CASES = Path(__file__).parents[3] / "shared/cases/14-outlier-cell"
NAMES = ["multinomial_10", "chi_squared_10", "kl_divergence_10", "jensen_shannon_10", "likelihood_ratio"]
Sizes = Callable[[np.random.Generator, int], np.ndarray]
SIZES: dict[str, Sizes] = {
    "equal": lambda rng, n: np.full(n, 100),
    "log-normal": lambda rng, n: np.maximum(rng.lognormal(np.log(100), 0.4, n), 20).astype(int),
    "bimodal": lambda rng, n: np.where(rng.random(n) < 0.5, 60, 400),
}


def judged(counts: Any) -> Judged:
    """What a run says of the banners of one grid."""
    of = heatmaps(counts)
    scored = score_grid(of, fit_reference(of), NAMES, lambda what: None)
    return judge(scored.scores, About(scored.grid_id, scored.n_clicks, scored.limit, scored.evidence), FDR)


def shifted(seed: int, n_clicks: int) -> np.ndarray:
    """Clicks of one banner a fifth of its width to the right of where they belong."""
    return np.roll(drawn(seed, [n_clicks])[0].reshape(40, 40), 8, axis=1).ravel()


def spotted(seed: int, n_clicks: int) -> np.ndarray:
    """Clicks of one banner, nine tenths of them in one cell."""
    out = drawn(seed, [n_clicks - n_clicks * 9 // 10])[0]
    out[30 * 40 + 5] += n_clicks * 9 // 10
    return out


@pytest.mark.parametrize("kind", list(SIZES))
@pytest.mark.parametrize("n", [30, 40, 300, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("fault", [shifted, spotted])
def test_more_clicks_of_a_fault_only_make_it_clearer(fault: Callable[[int, int], np.ndarray], n: int, kind: str) -> None:
    counts = drawn(n, SIZES[kind](np.random.default_rng(n), n))
    found = []
    for n_clicks in (100, 101, 150, 400, 3_000, 50_000):
        counts[5] = fault(7, n_clicks)
        seen = judged(counts)
        found.append(seen.combined[5])
        assert seen.flagged[5], n_clicks
        assert seen.flagged.sum() <= 1 + n // 40, n_clicks
    # a draw of as few clicks as 100 is clearer or less clear by chance, and evidence of hundreds of standard deviations is all one
    assert all(more > 0.8 * less for less, more in pairwise(found)), found


@pytest.mark.parametrize("kind", list(SIZES))
@pytest.mark.parametrize("n", [60, 300, 2000])
@pytest.mark.parametrize("share", ["one", 0.1])
@pytest.mark.parametrize("away", [-1.0, 0.3, 1.0, 3.0])
def test_neither_one_banner_nor_a_tenth_moves_what_is_expected_of_it(away: float, share: str | float, n: int, kind: str) -> None:
    rng = np.random.default_rng(n)
    clicks = SIZES[kind](rng, n).astype(float)
    scores, groups = rng.normal(size=n) + 0.5 * np.log(clicks), np.zeros(n, dtype=int)
    odd = np.arange(1 if share == "one" else int(share * n))
    clicks[odd] = np.round(100 * np.exp(away))
    scores[odd] = 8 + 0.5 * np.log(clicks[odd])
    z = Normaliser().fit(scores, groups, clicks).transform(scores, groups, clicks)
    clean = np.delete(np.arange(n), odd)
    assert np.median(z[odd]) > 4
    assert abs(np.median(z[clean])) < 0.5
    assert np.quantile(z[clean], 0.2) == pytest.approx(-0.84, abs=0.5)


@pytest.mark.parametrize("kind", list(SIZES))
@pytest.mark.parametrize("n", [100, 600, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("n_clicks", [30, 100, 1_000])
def test_a_tenth_that_shares_a_fault_and_a_click_count_is_flagged(n_clicks: int, n: int, kind: str) -> None:
    counts = drawn(n, SIZES[kind](np.random.default_rng(n), n))
    broken = np.arange(n) < n // 10
    counts[broken] = [shifted(i, n_clicks) for i in range(n // 10)]
    flagged = judged(counts).flagged
    assert flagged[broken].mean() > 0.8
    assert flagged[~broken].mean() < 0.03


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_a_fault_that_changes_the_volume_is_found_where_all_good_banners_have_equally_many_clicks(share: float) -> None:
    n, rng = 300, np.random.default_rng(3)
    n_broken = int(share * n)
    clicks = np.full(n, 60)
    clicks[:n_broken] = rng.choice([25, 35, 90, 140], n_broken)
    counts = drawn(3, clicks)
    for i in range(n_broken):
        counts[i] = shifted(i, clicks[i])
    flagged, broken = judged(counts).flagged, np.arange(n) < n_broken
    assert 2 * (flagged & broken).sum() / (flagged.sum() + n_broken) >= 0.8


@pytest.mark.parametrize("n_clicks", [13, 20, 30, 60, 1_000, 50_000])
@pytest.mark.parametrize("usual", [100, 1_000])
def test_a_banner_in_order_is_not_flagged_for_its_click_count(usual: int, n_clicks: int) -> None:
    counts = drawn(usual + n_clicks, np.full(40, usual))
    counts[5] = drawn(n_clicks, [n_clicks])[0]
    assert not judged(counts).flagged[5]


@pytest.mark.parametrize("n_clicks", [30, 60])
def test_a_broken_banner_of_few_clicks_is_flagged(n_clicks: int) -> None:
    counts = drawn(n_clicks, np.full(40, 1_000))
    counts[5] = shifted(n_clicks, n_clicks)
    assert judged(counts).flagged[5]


def test_the_bulk_is_where_two_thirds_are() -> None:
    assert bulk(np.log([100.0] * 70 + [40.0] * 30)) == pytest.approx((np.log(100) - 0.05, np.log(100) + 0.05))
    low, high = bulk(np.log(np.where(np.arange(100) < 50, 60.0, 400.0)))
    assert low < np.log(60) < np.log(400) < high
    low, high = bulk(np.random.default_rng(0).normal(5, 0.7, 1000))
    assert (low, high) == pytest.approx((5 - 3.7 * 0.7, 5 + 3.7 * 0.7), abs=0.4)


def test_a_share_of_broken_banners_that_one_start_misses_is_found() -> None:
    rng = np.random.default_rng(0)
    for share in (0.05, 0.3):
        broken = np.arange(640) < share * 640
        x = np.where(broken, rng.lognormal(1.6, 0.5, 640), rng.normal(size=640))
        flags = benjamini_hochberg(EmpiricalNull().fit(x).p_values(x), 0.1)
        assert flags[broken].mean() > 0.5
        assert flags[~broken].mean() < 0.05


def score_log(path: Path, files: list[Path]) -> list[dict[str, Any]]:
    with Store(path) as store:
        ingest(store, files)
        run.score(store, deep="none")
        return store.rows("SELECT banner_id FROM result WHERE flagged ORDER BY position")


HANDED = {"lev-same": "lev", "lev-onemore": "lev", "bot": "out05", "bot-same-counts": "out05"}


@pytest.mark.parametrize("name", list(HANDED))
def test_handed_logs_have_their_odd_banner_flagged(name: str, tmp_path: Path) -> None:
    file = CASES / f"{name}.csv"
    if not file.exists():
        pytest.skip(f"{file} is not on this machine")
    found = score_log(tmp_path / "s.duckdb", [file])
    assert len(found) >= 1
    assert found[0]["banner_id"].startswith(HANDED[name])
