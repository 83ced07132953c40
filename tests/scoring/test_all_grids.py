"""Open-set scores: their formulas and signs, one classifier for all grids, and a run that asks for them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps
from core.banners.images import Images
from core.detectors import CATALOGUE, make
from core.detectors.classifier import MIN_CLASS, Classifier, log_softmax
from core.detectors.open_set import OpenSet
from core.errors import ContractError
from core.scoring import all_grids
from core.scoring.all_grids import score_across
from core.scoring.grid import Scored, score_grid
from tests.scoring.test_worker import finished, row, table, write_job
from tests.support.banners import drawn, heatmaps, layout, sizes

NAMES = [name for name, detector in CATALOGUE.items() if isinstance(detector, OpenSet)]
PLAIN = ["max_probability", "entropy", "max_logit", "energy"]
SHARING = [*PLAIN, "svgd_ensemble"]
SURE, TORN = [4.0, 0.0, 0.0], [2.0, 2.0, 1.0]
LOGITS = np.array([SURE, TORN])
OWN = np.array([1, 0])


def score(name: str, logits: Any = LOGITS, own: Any = OWN, **fields: Any) -> list[float]:
    return list(make(name, **fields)._of(np.array(logits), np.array(own)))


def test_the_scores_by_hand() -> None:
    e4, e2, e = np.exp(4), np.exp(2), np.e
    sure, torn = e4 / (e4 + 2), e2 / (2 * e2 + e)
    assert score("max_probability", conditional=False) == pytest.approx([1 - sure, 1 - torn])
    assert score("max_probability") == pytest.approx([1 - 1 / (e4 + 2), 1 - torn])
    assert score("max_logit", conditional=False) == [-4, -2]
    assert score("max_logit") == [0, -2]
    assert score("energy") == pytest.approx([-np.log(e4 + 2), -np.log(2 * e2 + e)])
    assert score("energy", temperature=2.0) == pytest.approx([-2 * np.log(e2 + 2), -2 * np.log(2 * e + np.exp(0.5))])
    p = [torn, torn, 1 - 2 * torn]
    assert score("entropy")[1] == pytest.approx(-sum(x * np.log(x) for x in p))


def test_the_first_score_is_one_minus_the_highest_probability_and_not_its_place() -> None:
    """The published slip, 1 - arg max, would depend on the order of the classes."""
    moved = LOGITS[:, [2, 0, 1]]
    assert score("max_probability", moved, conditional=False) == pytest.approx(score("max_probability", conditional=False))
    assert all(0 <= s <= 1 for s in score("max_probability", conditional=False))


@pytest.mark.parametrize("name", PLAIN)
def test_who_the_classifier_is_sure_of_is_less_anomalous(name: str) -> None:
    """The published list has the max logit itself, which is a confidence: highest where nothing is wrong."""
    sure, torn = score(name, own=[0, 0])
    assert sure < torn


def test_only_the_conditional_scores_see_that_a_banner_is_another_group_s() -> None:
    for name in ("max_probability", "max_logit"):
        own, other = score(name, [SURE, SURE], [0, 2])
        assert other > own
        assert len(set(score(name, [SURE, SURE], [0, 2], conditional=False))) == 1
        assert score(name, [SURE], [-1]) == score(name, [SURE], [-1], conditional=False)  # a group that was never learned


def test_one_minus_a_probability_next_to_one_does_not_round_to_nothing() -> None:
    near, nearer = score("max_probability", [[60.0, 0.0], [70.0, 0.0]], [0, 0])
    assert near == pytest.approx(np.exp(-60))
    assert 0 < nearer < near


def test_log_softmax_is_that_of_shifted_logits() -> None:
    assert np.exp(log_softmax(LOGITS)).sum(axis=1) == pytest.approx([1, 1])
    assert log_softmax(LOGITS + 1000) == pytest.approx(log_softmax(LOGITS))


def _pictures(n: int = 40) -> tuple[Any, Any]:
    counts = np.concatenate([drawn(k, sizes(k, n), layout(6 * k)) for k in range(3)])
    return Images().make(csr_matrix(counts)), np.repeat([10, 20, 30], n)


def test_the_classifier_learns_groups_that_are_large_enough() -> None:
    X, groups = _pictures()
    groups[: MIN_CLASS - 1] = 5
    fitted = Classifier(epochs=32).fit(X, groups)
    assert fitted.classes_.tolist() == [20, 30]
    assert fitted.places(np.array([5, 20, 30, 99])).tolist() == [-1, 0, 1, -1]
    rows = groups >= 20
    assert (fitted.logits(X[rows]).argmax(axis=1) == fitted.places(groups[rows])).mean() > 0.95
    assert fitted.codes(X[:5]).shape == (5, 64)
    assert fitted.losses_[-1] < fitted.losses_[0]


def test_one_group_cannot_be_told_from_others() -> None:
    X, groups = _pictures()
    with pytest.raises(ContractError, match="two groups or more: there is 1"):
        make("max_logit").fit(X, np.zeros_like(groups))


def test_the_worst_of_every_class_are_left_out_half_way() -> None:
    logits = np.array([[3.0, 0], [2, 0], [0, 5], [1, 0], [0, 4], [0, 3], [6, 0], [0, 2]])
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    assert Classifier(trim=0.25)._best(logits, labels).tolist() == [0, 1, 3, 4, 5, 7]


@pytest.fixture(scope="module")
def trained() -> Classifier:
    return Classifier(epochs=24).fit(*_pictures(80))


@pytest.mark.parametrize("name", NAMES)
def test_a_banner_torn_between_two_layouts_is_found(name: str, trained: Classifier) -> None:
    X, groups = _pictures(80)
    own = {"classifier": trained} if name in SHARING else {}
    detector = make(name, epochs=24, **own).fit(X, groups)
    fine = drawn(50, np.full(60, 150))
    torn = drawn(51, np.full(60, 75)) + drawn(52, np.full(60, 75), layout(6))
    again = Images().make(csr_matrix(np.concatenate([fine, torn])))
    assert roc_auc_score(np.arange(120) >= 60, detector.score(again, np.full(120, 10))) > 0.8


@pytest.mark.parametrize("name", NAMES)
def test_a_score_is_kept_in_arrays(name: str) -> None:
    X, groups = _pictures()
    detector = make(name, epochs=6).fit(X, groups)
    state = {k: v for k, v in vars(detector).items() if k.endswith("_") and not k.startswith("_")}
    assert all(isinstance(v, (np.ndarray, float)) for v in state.values())
    again = make(name, epochs=6)
    vars(again).update(state)
    assert again.score(X, groups).tolist() == detector.score(X, groups).tolist()


def _scored(n: int = 60) -> tuple[list[Scored], dict[int, Heatmaps]]:
    grids = {g: heatmaps(drawn(g, sizes(g, n), layout(2 * g)), grid_id=g, n_products=1 + np.arange(n) % 2) for g in (1, 4, 8)}
    reference = {g: fit_reference(h) for g, h in grids.items()}
    return [score_grid(h, reference[g], [], lambda what: None) for g, h in grids.items()], grids


def test_plain_scores_share_one_classifier_over_all_grids(monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[tuple[str, int]] = []
    fit = Classifier.fit

    def counted(self: Classifier, X: Any, groups: Any) -> Classifier:
        fits.append((type(self).__name__, len(X)))
        self.epochs = 2
        return fit(self, X, groups)

    monkeypatch.setattr(Classifier, "fit", counted)
    scored, grids = _scored()
    said: list[str] = []
    score_across(scored, lambda part: grids[int(part.grid_id[0])], [*SHARING, "generalized_odin", "jem"], said.append)
    assert fits == [("Classifier", 180), ("CosineClassifier", 180), ("EnergyClassifier", 180)]
    assert [what for what in said if "which takes minutes" in what] == ["fitting jem on 180 banners, which takes minutes"]
    for part in scored:
        assert set(part.scores) == {*SHARING, "generalized_odin", "jem"}
        assert all(np.isfinite(s).all() and s.shape == (60,) for s in part.scores.values())


def test_no_more_is_learned_from_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_grids, "MOST", 100)
    assert all_grids._even(np.array([10, 200, 60])).tolist() == [10, 45, 45]
    assert all_grids._even(np.array([10, 20, 60])).tolist() == [10, 20, 60]
    scored, grids = _scored()
    X, groups = all_grids._sample(scored, lambda part: grids[int(part.grid_id[0])], all_grids._layouts(scored))
    assert len(X) == len(groups) == 99
    assert len(np.unique(groups)) == 6


def test_a_run_takes_them_beside_others(tmp_path: Path) -> None:
    grids = {g: [row(f"g{g}-{i:03d}", c) for i, c in enumerate(drawn(g, sizes(g, 40), layout(2 * g)))] for g in (1, 8)}
    job = write_job(tmp_path / "job", grids, detectors=["max_logit", "multinomial_10"])
    assert finished(job)["settings"]["detectors"] == ["max_logit", "multinomial_10"]
    found = table(job, "score").to_pylist()
    assert sum(r["detector"] == "max_logit" for r in found) == 80
    assert {r["detector"]: r["family"] for r in table(job, "run_detector").to_pylist()}["max_logit"] == "open_set"
