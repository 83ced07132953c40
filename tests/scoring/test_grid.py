"""From heatmaps to flags: broken banners in front, clean ones left alone, few banners or few clicks no reason for a flag."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps
from core.detectors import CATALOGUE, default_names
from core.scoring.grid import Scored, score_grid
from core.scoring.judging import About, Judged, judge
from tests.support.banners import drawn, heatmaps, mirrored, sizes


def scored_and_judged(X: Heatmaps) -> tuple[list[Scored], Judged]:
    reference, names = fit_reference(X), [name for name in default_names() if not CATALOGUE[name].deep]
    parts = [score_grid(X.take(np.flatnonzero(X.grid_id == g)), reference, names, lambda what: None) for g in np.unique(X.grid_id)]
    scores = {name: np.concatenate([p.scores[name] for p in parts]) for name in names}
    columns = [np.concatenate([getattr(p, c) for p in parts]) for c in About._fields]
    return parts, judge(scores, About(*columns), fdr=0.1)


def assert_sane(judged: Judged, n: int) -> None:
    for column in (judged.combined, judged.p_value, judged.p_broken, *judged.normalised.values(), *judged.p_values.values()):
        assert column.shape == (n,)
        assert np.isfinite(column).all()
    assert ((judged.p_value > 0) & (judged.p_value <= 1)).all()
    assert ((judged.p_broken >= 0) & (judged.p_broken <= 1)).all()
    assert sorted(judged.position) == list(range(1, n + 1))
    assert (np.diff(judged.p_value[np.argsort(judged.position)]) >= 0).all()


def test_broken_banners_are_flagged_and_clean_ones_are_not() -> None:
    counts = drawn(0, sizes(0, 400))
    counts[:20] = mirrored(counts[:20])
    _, judged = scored_and_judged(heatmaps(counts))
    assert_sane(judged, 400)
    broken = np.arange(400) < 20
    assert roc_auc_score(broken, judged.combined) > 0.99
    assert judged.flagged[broken].mean() > 0.9
    assert judged.flagged[~broken].mean() < 0.02
    assert judged.n_agree[broken].mean() > 5 > judged.n_agree[~broken].mean()


def test_where_nothing_is_broken_hardly_anything_is_flagged() -> None:
    _, judged = scored_and_judged(heatmaps(drawn(1, sizes(1, 600))))
    assert judged.flagged.mean() < 0.015


def test_a_clean_grid_stays_clean_beside_a_broken_one() -> None:
    counts = drawn(2, sizes(2, 600))
    counts[:60] = mirrored(counts[:60])
    _, judged = scored_and_judged(heatmaps(counts, grid_id=np.repeat([1, 2], 300)))
    assert judged.flagged[:60].mean() > 0.9
    assert judged.flagged[300:].mean() < 0.03


@pytest.mark.parametrize("clicks", [1, 100, 100_000])
def test_a_single_banner_is_not_flagged(clicks: int) -> None:
    _, judged = scored_and_judged(heatmaps(drawn(0, [clicks])))
    assert_sane(judged, 1)
    assert not judged.flagged.any()


@pytest.mark.parametrize("n", [1, 2, 5, 10, 100])
def test_banners_all_alike_are_not_flagged(n: int) -> None:
    _, judged = scored_and_judged(heatmaps(np.repeat(drawn(0, [100]), n, axis=0)))
    assert_sane(judged, n)
    assert not judged.flagged.any()


def test_banners_of_few_clicks_are_not_flagged_for_that() -> None:
    rng = np.random.default_rng(0)
    few = rng.random(600) < 0.3
    _, judged = scored_and_judged(heatmaps(drawn(3, np.where(few, rng.integers(1, 5, 600), sizes(3, 600)))))
    assert_sane(judged, 600)
    assert judged.flagged[few].mean() < 0.01
    _, alone = scored_and_judged(heatmaps(drawn(4, np.ones(300))))
    assert_sane(alone, 300)
    assert not alone.flagged.any()


def test_broken_banners_are_found_beside_banners_of_one_click() -> None:
    counts = drawn(5, np.where(np.arange(400) % 4 == 0, 1, sizes(5, 400)))
    broken = (np.arange(400) % 20) == 3
    counts[broken] = mirrored(counts[broken])
    _, judged = scored_and_judged(heatmaps(counts))
    assert judged.flagged[broken].mean() > 0.9
    assert judged.flagged[~broken].mean() < 0.02


def test_many_tiny_grids_are_judged_with_restraint() -> None:
    grid_id = np.repeat(np.arange(60), np.random.default_rng(6).integers(1, 6, 60))
    _, judged = scored_and_judged(heatmaps(drawn(6, sizes(6, len(grid_id))), grid_id))
    assert_sane(judged, len(grid_id))
    assert judged.flagged.mean() < 0.12  # two to five banners vouch for each other badly
    alone = np.bincount(grid_id)[grid_id] == 1
    assert not judged.flagged[alone].any()


def test_small_grids_are_not_flagged_for_being_small() -> None:
    for n in (10, 40, 120):
        _, judged = scored_and_judged(heatmaps(drawn(n, sizes(n, 240)), grid_id=np.arange(240) // n))
        assert judged.flagged.mean() < 0.04, n


def test_the_steps_are_told() -> None:
    X, told = heatmaps(drawn(0, sizes(0, 20))), []
    part = score_grid(X, fit_reference(X), ["multinomial", "likelihood_ratio"], told.append)
    assert told == ["multinomial learns", "likelihood_ratio learns", "multinomial", "likelihood_ratio", "diagnosis"]
    assert list(part.scores) == ["multinomial", "likelihood_ratio"]
    assert len(part.diagnoses) == 20


def test_a_pile_of_clicks_in_one_cell_is_named_where_the_whole_grid_has_some_there() -> None:
    counts = drawn(2, np.full(40, 88))
    counts[:, 0] += 12  # clicks without a position, as keyboards give them
    counts[7] = drawn(3, np.full(1, 25))[0]
    counts[7, 0] += 75
    parts, judged = scored_and_judged(heatmaps(counts))
    assert judged.flagged.nonzero()[0].tolist() == [7]
    said = parts[0].diagnoses[7].sentence
    assert said.startswith("75 % of its clicks lie in one cell in the top left corner (0, 0), where "), said
    assert not any("one cell" in d.sentence for k, d in enumerate(parts[0].diagnoses) if k != 7)
