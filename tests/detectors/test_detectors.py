"""The contract over the whole catalogue, and every formula against cases done by hand and slow twins."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.banners.heatmaps import Heatmaps
from core.banners.templates import make_bank
from core.detectors import CATALOGUE, default_names, make
from core.detectors.base import Detector
from core.detectors.cells import cell_sums
from core.errors import ContractError, InputError
from core.settings import N_BINS
from tests.support import naive
from tests.support.banners import cells, drawn, heatmaps, layout, mirrored, reference_of, sizes

FAMILIES = {"statistical", "template", "self_supervised", "reconstruction", "distance", "density", "features", "one_class", "tree", "vote"}
FAMILIES |= {"open_set"}
N, N_BROKEN = 120, 10
COUNTS = drawn(1, sizes(1, N))
COUNTS[:N_BROKEN] = mirrored(COUNTS[:N_BROKEN])
X = heatmaps(COUNTS)
GROUPS = np.zeros(N, dtype=np.int64)
ON_HEATMAPS = [name for name, d in CATALOGUE.items() if d.reads == "heatmaps" and not d.needs_labels]


def as_read(detector: Detector, X: Heatmaps) -> Any:
    """The same banners as the detector reads them."""
    dense = X.counts.toarray().astype(np.float32)
    share = np.sqrt(dense / np.maximum(dense.sum(axis=1, keepdims=True), 1)).astype(np.float32)
    return {"heatmaps": X, "images": share.reshape(-1, 1, 40, 40), "features": share}[detector.reads]


def rows_of(data: Any, at: Any) -> Any:
    return data.take(at) if isinstance(data, Heatmaps) else data[at]


@pytest.fixture(params=[name for name, d in CATALOGUE.items() if not d.needs_labels])
def detector(request: pytest.FixtureRequest) -> Any:
    return make(request.param)


def groups_for(detector: Detector) -> Any:
    """One group for most; those that learn across groups get three."""
    return np.arange(N) % 3 if detector.across else GROUPS


def test_a_detector_keeps_the_contract(detector: Any) -> None:
    data, groups = as_read(detector, X), groups_for(detector)
    before = {f.name: getattr(detector, f.name) for f in fields(detector)}
    with pytest.raises(ContractError, match="after fit"):
        detector.score(data, groups)
    assert detector.fit(data, groups) is detector
    assert all(getattr(detector, name) is value for name, value in before.items())
    scores = detector.score(data, groups)
    assert scores.shape == (N,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()

    order = np.random.default_rng(0).permutation(N)
    np.testing.assert_allclose(detector.score(rows_of(data, order), groups[order]), scores[order], rtol=1e-9, atol=1e-9)
    for i in (0, 57, N - 1):
        np.testing.assert_allclose(detector.score(rows_of(data, np.array([i])), groups[[i]]), scores[[i]], rtol=1e-9, atol=1e-9)

    fresh = make(detector.name).fit(data, groups).score(data, groups)
    np.testing.assert_allclose(fresh, scores, rtol=1e-12)
    np.testing.assert_allclose(detector.fit(data, groups).score(data, groups), scores, rtol=1e-12)


def test_a_detector_finds_what_is_plainly_broken(detector: Any) -> None:
    if detector.across:
        pytest.skip("it knows other grids' layouts, and tests/scoring/test_all_grids.py has some")
    data = as_read(detector, X)
    scores = detector.fit(data, GROUPS).score(data, GROUPS)
    even = heatmaps(drawn(2, np.full(N, 150)))  # the same clicks for all, so that only the picture differs
    broken = heatmaps(np.concatenate([mirrored(drawn(3, np.full(20, 150))), even.counts.toarray()[20:]]))
    again = as_read(detector, broken)
    assert roc_auc_score(np.arange(N) < 20, detector.score(again, GROUPS)) > 0.9
    assert len(scores) == N


def test_a_detector_refuses_what_it_cannot_read(detector: Any) -> None:
    data, groups = as_read(detector, X), groups_for(detector)
    for wrong in ([1, 2, 3], np.zeros((N, 3), dtype=np.float64), None):
        with pytest.raises(ContractError, match=r"reads|give"):
            detector.fit(wrong, groups)
    with pytest.raises(ContractError, match="one group code a row"):
        detector.fit(data, groups[:-1])
    with pytest.raises(ContractError, match="at least one banner"):
        detector.fit(rows_of(data, np.array([], dtype=np.int64)), groups[:0])
    detector.fit(data, groups)
    with pytest.raises(ContractError, match="one group code a row"):
        detector.score(data, np.zeros(N + 1, dtype=np.int64))


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_the_catalogue_says_what_its_detectors_are(name: str) -> None:
    detector = CATALOGUE[name]
    assert detector.name == name == name.lower()
    assert detector.family in FAMILIES, "a known family; a new one is added to FAMILIES above"
    assert detector.reads in ("heatmaps", "images", "features")
    assert type(detector).__doc__
    for cls in type(detector).__mro__[: type(detector).__mro__.index(Detector)]:
        assert not {"fit", "score", "_check"} & set(vars(cls)), f"{cls.__name__} overrides what is final"


def test_the_default_run_is_part_of_the_catalogue() -> None:
    assert default_names() == [name for name in CATALOGUE if CATALOGUE[name].default_run]
    assert {"multinomial", "chi_squared", "kl_divergence", "jensen_shannon", "likelihood_ratio"} <= set(default_names())
    with pytest.raises(InputError, match="'nonsense'"):
        make("nonsense")


class Broken(Detector):
    """Says what it is told to say."""

    family, reads = "statistical", "heatmaps"
    name = "broken"
    answer: Any = None

    def _fit(self, X: Any, groups: Any) -> None:
        self.done_ = True

    def _score(self, X: Any, groups: Any) -> Any:
        return self.answer


@pytest.mark.parametrize("answer", [np.full(N, np.nan), np.full(N, np.inf), np.zeros(N - 1), np.zeros((N, 1))])
def test_scores_that_break_the_contract_do_not_get_out(answer: Any) -> None:
    detector = Broken().fit(X, GROUPS)
    detector.answer = answer
    with pytest.raises(ContractError, match=r"reads|give"):
        detector.score(X, GROUPS)


def test_a_fit_that_learns_nothing_is_refused_where_it_happens() -> None:
    class Forgetful(Broken):
        def _fit(self, X: Any, groups: Any) -> None: ...

    with pytest.raises(ContractError, match="broken learns attributes that end in _: its _fit sets none"):
        Forgetful().fit(X, GROUPS)


# Formulas by hand. Reference: cell 0 has 1/2, cell 1 has 1/4, all 1,598 others share 1/4.

P = np.full(N_BINS, 0.25 / 1598)
P[0], P[1] = 0.5, 0.25
REFERENCE = reference_of(P)


def score(name: str, counts: Any, p: Any = P) -> Any:
    X = heatmaps(counts)
    return make(name, reference=reference_of(p)).fit(X, np.zeros(len(X), int)).score(X, np.zeros(len(X), int))


def test_kl_by_hand() -> None:
    # f = (1/2, 1/2): 1/2 log(1/2 / 1/2) + 1/2 log(1/2 / 1/4) = log(2) / 2; all on cell 0: log(1 / (1/2)) = log 2
    assert score("kl_divergence", [cells(c0=7, c1=7), cells(c0=5)]) == pytest.approx([np.log(2) / 2, np.log(2)], abs=1e-6)


def test_chi_squared_by_hand() -> None:
    # X²/N = Σ f²/p - 1 = (1/4)/(1/2) + (1/4)/(1/4) - 1 = 1/2; log(2 + 1/2). All on cell 0: 1/(1/2) - 1 = 1; log 3
    assert score("chi_squared", [cells(c0=7, c1=7), cells(c0=5)]) == pytest.approx([np.log(2.5), np.log(3)], abs=1e-6)


def test_jensen_shannon_by_hand() -> None:
    # All on cell 0: m = 3/4 there and p/2 elsewhere. (1 log(4/3) + 1/2 log(2/3) + 1/2 log 2) / 2
    expected = (np.log(4 / 3) + 0.5 * np.log(2 / 3) + 0.5 * np.log(2)) / 2
    assert score("jensen_shannon", [cells(c0=9)]) == pytest.approx([expected], abs=1e-6)


def test_jensen_shannon_never_passes_log_2() -> None:
    assert score("jensen_shannon", [cells(c900=400)])[0] <= np.log(2)


def test_multinomial_by_hand() -> None:
    # Uniform reference, N = 1600: the average banner has one click a cell. log P[avg] - log P[n] = Σ log n_j! - Σ log 1!,
    # since n log p is the same for both; 1,600 clicks on one cell: log(1600!) / 1600
    from math import lgamma

    flat = np.ones(N_BINS)
    assert score("multinomial", [np.ones(N_BINS)], flat)[0] == pytest.approx(0, abs=2e-3)  # between two knots
    assert score("multinomial", [cells(c5=1600)], flat)[0] == pytest.approx(lgamma(1601) / 1600, abs=2e-3)


def test_the_modal_cell_is_no_hiding_place() -> None:
    """Without the coefficient, a banner that only clicks where most do looks better than any banner in order."""
    p = layout()
    modal = int(np.argmax(p))
    normal = drawn(5, np.full(60, 300), p)
    trapped = cells(**{f"c{modal}": 300})
    without = [-(n * np.log(p)).sum() / n.sum() for n in (trapped, *normal)]
    assert without[0] < min(without[1:])  # the trap is there
    for name in ("multinomial", "multinomial_20", "multinomial_10"):
        scores = score(name, [trapped, *normal], p)
        assert scores[0] > scores[1:].max() + 0.5, name


RANDOM = [*drawn(7, [1, 2, 15, 180, 5000]), cells(c0=4095, c1=4096, c2=4097), cells(c3=60_000, c4=1), cells(c0=3_000_000, c799=7)]
TWINS = {
    "multinomial": naive.multinomial,
    "chi_squared": naive.chi_squared,
    "kl_divergence": naive.kl_divergence,
    "jensen_shannon": naive.jensen_shannon,
}


@pytest.mark.parametrize("size", [40, 20, 10])
@pytest.mark.parametrize("stem", list(TWINS))
def test_count_statistics_equal_their_slow_twins(stem: str, size: int) -> None:
    name = stem if size == 40 else f"{stem}_{size}"
    p = layout()
    expected = [TWINS[stem](naive.coarser(n, size), naive.coarser(p, size)) for n in RANDOM]
    tolerance = 4e-3 if stem == "multinomial" else 2e-5  # the average banner is interpolated between knots
    np.testing.assert_allclose(score(name, RANDOM, p), expected, rtol=tolerance, atol=tolerance)


def test_cell_sums_equal_loops() -> None:
    from math import lgamma, log

    p, X = layout(), heatmaps(RANDOM)
    sums = cell_sums(X, reference_of(p), 40)
    for i, n in enumerate(RANDOM):
        hit = [j for j in range(N_BINS) if n[j] > 0]
        assert sums.n[i] == sum(n)
        assert sums.log_p[i] == pytest.approx(sum(n[j] * log(p[j]) for j in hit), rel=1e-5)
        assert sums.log_n[i] == pytest.approx(sum(n[j] * log(n[j]) for j in hit), rel=1e-5, abs=1e-6)
        assert sums.log_factorial[i] == pytest.approx(sum(lgamma(n[j] + 1) for j in hit), rel=1e-5, abs=1e-6)
        assert sums.chi[i] == pytest.approx(sum(n[j] ** 2 / p[j] for j in hit), rel=1e-5)


def test_sums_are_not_taken_for_those_of_a_reference_that_is_gone() -> None:
    X = heatmaps(drawn(3, [50, 80]))
    for k in range(20):  # a freed reference's id is given to the next one
        p = np.roll(layout(), 40 * k)
        np.testing.assert_allclose(cell_sums(X, reference_of(p), 40).log_p, X.counts @ np.log(p / p.sum()), rtol=1e-5)


@pytest.mark.parametrize("name", ON_HEATMAPS)
def test_empty_and_huge_banners_have_finite_scores(name: str) -> None:
    counts = [*drawn(4, [180] * 20), np.zeros(N_BINS), cells(c7=1), cells(c7=3_000_000_000), cells(c7=2**24, c8=2**24)]
    X = heatmaps(counts)
    scores = make(name).fit(X, np.zeros(24, int)).score(X, np.zeros(24, int))
    assert np.isfinite(scores).all()
    empty = make(name).fit(heatmaps([np.zeros(N_BINS)]), np.zeros(1, int))
    assert np.isfinite(empty.score(X, np.zeros(24, int))).all()


def test_likelihood_ratio_equals_its_slow_twin() -> None:
    p, other = layout(), layout(12)
    banners = np.concatenate([drawn(8, [1, 60, 300]), mirrored(drawn(8, [60]))])
    X = heatmaps(banners)
    detector = make("likelihood_ratio", reference=reference_of(p), others={5: other}).fit(X, np.zeros(4, int))
    bank = make_bank(p, {5: other})
    templates = np.exp(bank.log_ratio.T) * p
    families = [templates[a:b].tolist() for a, b in bank.spans]
    assert all(families)
    expected = [naive.likelihood_ratio(n.tolist(), p.tolist(), families) for n in banners]
    np.testing.assert_allclose(detector.score(X, np.zeros(4, int)), expected, rtol=1e-4, atol=1e-4)


def test_the_likelihood_ratio_asks_for_this_banner_not_the_average_one() -> None:
    """A banner with clicks n has log P[n | template] - log P[n | reference] for evidence: n in both."""
    p = layout()
    n = drawn(9, [200])[0]
    X = heatmaps([n])
    detector = make("likelihood_ratio", reference=reference_of(p), others={5: layout(12)}).fit(X, np.zeros(1, int))
    evidence = detector.evidence(X)
    bank = make_bank(p, {5: layout(12)})
    templates = np.exp(bank.log_ratio.T) * p
    for f, (start, stop) in enumerate(bank.spans):
        ratios = [naive.log_draw(n, t) - naive.log_draw(n, p) for t in templates[start:stop]]
        assert evidence.best[0, f] - start == np.argmax(ratios)
        assert evidence.log_odds[0, f] == pytest.approx(max(ratios) + np.log(np.mean(np.exp(np.array(ratios) - max(ratios)))), abs=1e-2)


def test_other_grids_given_anew_are_not_answered_from_memory() -> None:
    X = heatmaps(drawn(3, [200], layout(12)))
    own = reference_of(layout())
    scores = []
    for where in (3, 12):
        detector = make("likelihood_ratio", reference=own, others={5: layout(where)}).fit(X, np.zeros(1, int))
        scores.append(detector.evidence(X).log_odds[0, -1])
    assert scores[1] > scores[0] + 10


def test_a_resolution_divides_the_grid() -> None:
    from core.detectors.chi_squared import ChiSquared

    with pytest.raises(ContractError, match="size=7"):
        ChiSquared(size=7).fit(X, GROUPS)
