"""Selectors: published check values, formulas by hand and by loops, signs, and what they may not see."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.errors import ContractError
from core.models.selection.alignment import alignment, base, distance, matching, mmd, spread
from core.models.selection.candidates import Candidate, matched, unit
from core.models.selection.consensus import agreement, centrality, hubs, inverse_ranks
from core.models.selection.outcome import outcomes
from core.models.selection.selectors import SELECTORS, ensemble

AXES = np.eye(32)
PLACES = {"aligned": AXES[1], "halfway": unit(AXES[:2].sum(axis=0, keepdims=True))[0], "orthogonal": AXES[2], "blind": AXES[0]}


def heaps(where: str, ratio: float, seed: int, n: int = 300) -> Candidate:
    """Train about one axis, augmented about another, test banners about the first and the share `ratio` of them elsewhere."""
    rng = np.random.default_rng(seed)

    def heap(centre: Any, size: int) -> Any:
        return centre + 0.05 * rng.normal(size=(size, 32))

    if where == "mixed":
        sets = [heap(AXES[0], n) for _ in range(3)]
    else:
        k = round(ratio * n)
        sets = [heap(AXES[0], n), heap(AXES[1], n), np.concatenate([heap(AXES[0], n - k), heap(PLACES[where], k)])]
    return Candidate(where, *sets, np.zeros(n))


CHECKED = [  # where, ratio, L_d, L_s halved, dsv halved, L_s, dsv
    ("aligned", 0.5, 0.633, 0.948, -0.158, 0.474, -0.117),
    ("halfway", 0.5, 0.617, 0.483, -0.167, 0.241, 0.225),
    ("orthogonal", 0.5, 0.814, 0.481, 0.224, 0.240, 0.519),
    ("blind", 0.5, 0.633, 0.050, 0.553, 0.025, 0.593),
    ("mixed", 0.5, 0.987, 0.251, 0.733, 0.126, 0.860),
    ("aligned", 0.2, 0.501, 0.761, -0.496, 0.381, -0.257),
    ("halfway", 0.2, 0.453, 0.380, -0.386, 0.190, 0.033),
    ("blind", 0.2, 0.417, 0.049, 0.299, 0.025, 0.358),
]


@pytest.mark.parametrize(("where", "ratio", "discordance", "halved_s", "halved_dsv", "separability", "dsv"), CHECKED)
def test_dsv_has_its_known_values_on_two_heaps(
    where: str, ratio: float, discordance: float, halved_s: float, halved_dsv: float, separability: float, dsv: float
) -> None:
    candidates = [heaps(where, ratio, seed) for seed in range(3)]
    whole = np.mean([alignment(c, ratio) for c in candidates], axis=0)
    halved = np.mean([alignment(c, ratio, halved=True) for c in candidates], axis=0)
    np.testing.assert_allclose(whole, [discordance, separability, dsv], atol=0.03)
    np.testing.assert_allclose(halved, [discordance, halved_s, halved_dsv], atol=0.03)


def test_dsv_prefers_what_is_aligned_and_discordance_alone_does_not() -> None:
    aligned, halfway, blind = (alignment(heaps(w, 0.5, 1), 0.5) for w in ("aligned", "halfway", "blind"))
    assert aligned.dsv < halfway.dsv < blind.dsv
    assert abs(aligned.discordance - blind.discordance) < 0.02  # it cannot tell the best from the blindest
    literal = [alignment(heaps(w, 0.5, 1), 0.5, halved=True).dsv for w in ("aligned", "halfway")]
    assert literal[1] < literal[0]  # the halved distance lets its bound hide what is better


def small(train: Any, augmented: Any, test: Any, scores: Any = None, **fields: Any) -> Candidate:
    test = np.array(test, dtype=float)
    scored = np.zeros(len(test)) if scores is None else np.array(scores, dtype=float)
    return Candidate("small", np.array(train, dtype=float), np.array(augmented, dtype=float), test, scored, **fields)


def test_the_measures_by_hand() -> None:
    """Train at (1, 0), augmented at (0, 1), √2 apart; one test banner at each."""
    c = small([[2, 0], [3, 0]], [[0, 5], [0, 1]], [[1, 0], [0, 1]])
    root = np.sqrt(2)
    assert base(c, 0.5) == pytest.approx(root / 2 / 2)  # half of all pairs lie at 0, half at √2; halved once more
    assert mmd(c, 0.5) == pytest.approx(0)
    assert spread(c, 0.5) == pytest.approx(-root / 2)
    found = alignment(c, 0.5)
    # the direction is (-1, 1) / √2; the projections are 0 and √2, their deviation √2 / 2
    assert found == pytest.approx((0.5, 0.5, 0.5 - 0.5 / 0.5), abs=1e-6)
    far = small([[1, 0]], [[0, 1]], [[-1, 0], [0, -1]])
    assert mmd(far, 0.5) == pytest.approx(2)  # (1/2, 1/2) and (-1/2, -1/2)
    assert base(far, 0.5) == pytest.approx((2 + root) / 2 / 2)


def test_distances_equal_loops() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 5)), rng.normal(size=(4, 5))
    assert distance(a, b) == pytest.approx(np.mean([np.sqrt(sum((x - y) ** 2)) for x in a for y in b]))
    c = small(a, b, rng.normal(size=(9, 5)))
    train, augmented = matched(c, 0.4)
    centre = train.mean(axis=0)
    along = [(z - centre) @ (y - centre) / np.linalg.norm(y - centre) for z in unit(c.test) for y in augmented]
    assert alignment(c, 0.4).separability == pytest.approx(np.std(along) / distance(train, augmented))


def test_matching_by_hand() -> None:
    """Suspects, the two highest scores, lie at (0, 1) as augmented ones do, then at (1, 0); the means are √2 apart."""
    train, augmented, test = [[1, 0]], [[0, 3], [0, 1]], [[2, 0], [0, 1], [0, 9], [1, 0]]
    assert matching(small(train, augmented, test, scores=[0, 5, 4, 1]), 0.5) == pytest.approx(0)
    assert matching(small(train, augmented, test, scores=[5, 0, 1, 4]), 0.5) == pytest.approx(2)  # 2 d(s, a) = 2 √2, nothing within
    half = matching(small(train, augmented, test, scores=[5, 4, 0, 0]), 0.1)  # still two; one of each: d(s, a) = d(s, s) = √2 / 2
    assert half == pytest.approx(2 * 0.5 - 0.5)
    with pytest.raises(ContractError, match="between 0 and 1, not 1"):
        matching(small(train, augmented, test), 1.0)


def test_matching_is_the_loss_that_sizes_are_learned_by() -> None:
    import torch

    from core.detectors.networks.alignment import matching_loss

    rng = np.random.default_rng(0)
    c = small(*[rng.normal(size=(n, 6)) for n in (20, 11, 40)], scores=rng.normal(size=40))
    suspects = unit(c.test)[np.argsort(-c.scores)[:10]]
    twin = matching_loss(*[torch.from_numpy(z) for z in (unit(c.train), unit(c.augmented), suspects)])
    assert matching(c, 0.25) == pytest.approx(float(twin), abs=1e-3)


def test_matching_tells_what_is_aligned_where_suspects_are_right() -> None:
    scores = np.arange(300.0)  # the last ones are the odd ones
    found = {w: matching(replace(heaps(w, 0.2, 1), scores=scores), 0.2) for w in PLACES}
    assert found["aligned"] < 0.05
    assert found["aligned"] < found["halfway"] < min(found["orthogonal"], found["blind"])


def test_augmented_embeddings_have_the_share_that_is_assumed() -> None:
    c = small(np.ones((80, 2)), np.ones((80, 2)), np.ones((3, 2)))
    assert [tuple(map(len, matched(c, ratio))) for ratio in (0.5, 0.2, 0.05)] == [(80, 80), (80, 20), (80, 5)]
    few = small(np.ones((80, 2)), np.ones((5, 2)), np.ones((3, 2)))
    assert tuple(map(len, matched(few, 0.5))) == (5, 5)
    for ratio in (0.0, 1.0, -0.1):
        with pytest.raises(ContractError, match="between 0 and 1, not"):
            matched(c, ratio)


def test_a_candidate_whose_arrays_do_not_fit_is_refused() -> None:
    ones = np.ones((3, 2))
    with pytest.raises(ContractError, match=r"three sets \(n, d\) of one d: small has"):
        small(ones, np.ones((3, 4)), ones)
    with pytest.raises(ContractError, match="of one d:"):
        small(ones, np.ones((0, 2)), ones)
    with pytest.raises(ContractError, match="scores each of its 3 test banners:"):
        small(ones, ones, ones, scores=[1, 2])


SCORES = np.array([[4.0, 3, 2, 1], [5, 4, 1, 2], [40, 30, 20, 10], [1, 2, 3, 4]])


def test_ranks_count_from_the_most_anomalous() -> None:
    """A published code counts from the most normal one, so that 1 / rank stresses what nobody looks for."""
    assert inverse_ranks(SCORES)[0].tolist() == [1, 1 / 2, 1 / 3, 1 / 4]
    assert inverse_ranks(np.array([[2.0, 2, 1]])).tolist() == [[1 / 1.5, 1 / 1.5, 1 / 3]]


def test_centrality_by_hand() -> None:
    # tau of rows: one of six pairs is out of order between the first and the second, all six between the first and the last
    assert centrality(SCORES) == pytest.approx(
        [(2 / 3 + 1 - 1) / 3, (2 / 3 + 2 / 3 - 2 / 3) / 3, (1 + 2 / 3 - 1) / 3, (-1 - 2 / 3 - 1) / 3]
    )
    assert centrality(SCORES[:1]).tolist() == [0]


def test_agreement_leaves_out_who_disagrees() -> None:
    # the mean inverse ranks are 0.81, 0.63, 0.35, 0.29: the first and the third rank alike, the second would lower the mean tau
    odd = np.array([*SCORES[:3], [1.0, 4, 3, 2]])
    assert agreement(odd) == pytest.approx([1, 2 / 3, 1, 0])
    assert agreement(SCORES[:1]) == pytest.approx([1])


def test_hubs_are_the_leading_singular_vector() -> None:
    weight = inverse_ranks(SCORES)
    leading = np.abs(np.linalg.svd(weight)[0][:, 0])
    np.testing.assert_allclose(hubs(SCORES), leading, atol=1e-8)
    assert hubs(SCORES).argmin() == 3


def pool(seed: int = 0) -> tuple[list[Candidate], Any]:
    """Four candidates: one aligned, one halfway, one blind and one mixed, with scores as good as their alignment."""
    rng = np.random.default_rng(seed)
    broken = np.arange(300) >= 240
    out = []
    for name, strength in (("aligned", 3.0), ("halfway", 1.5), ("blind", 0.0)):
        out.append(replace(heaps(name, 0.2, seed), scores=rng.normal(size=300) + strength * broken))
    out.append(replace(out[1], name="mixed", scores=rng.normal(size=300) + 2 * broken, mixed=True))
    return out, broken


def test_every_selector_takes_one_of_the_candidates() -> None:
    candidates, broken = pool()
    rows = {row.selector: row for row in outcomes(candidates, broken, 0.2)}
    assert list(rows) == [*SELECTORS, "avg", "ensemble", "best"]
    each = [roc_auc_score(broken, c.scores) for c in candidates]
    for name in SELECTORS:
        assert rows[name].auc == pytest.approx(each[rows[name].chosen or 0])
    assert rows["dsv"].chosen == 0 == rows["best"].chosen
    assert rows["rand"].chosen == 3
    assert rows["avg"].auc == pytest.approx(np.mean(each))
    assert rows["ensemble"].auc == pytest.approx(roc_auc_score(broken, ensemble(candidates)))
    for name in ("mc", "select", "hits"):
        assert rows[name].chosen != 2  # who ranks at random is like nobody


def test_rand_asks_for_a_mixed_candidate() -> None:
    candidates, broken = pool()
    assert "rand" not in {row.selector for row in outcomes(candidates[:3], broken, 0.2)}
    with pytest.raises(ContractError, match="there is none"):
        SELECTORS["rand"].chosen(candidates[:3], 0.2)
    with pytest.raises(ContractError, match=": there are 0"):
        SELECTORS["dsv"].chosen([], 0.2)


def test_no_selector_sees_a_label() -> None:
    """Other labels change what a choice is worth, never the choice."""
    candidates, broken = pool()
    other = np.random.default_rng(1).permutation(broken)
    chosen = [[row.chosen for row in outcomes(candidates, labels, 0.2)][: len(SELECTORS)] for labels in (broken, other)]
    assert chosen[0] == chosen[1]


@pytest.mark.parametrize("name", [name for name in SELECTORS if name != "rand"])
def test_values_do_not_depend_on_the_order_of_candidates(name: str) -> None:
    candidates, _ = pool()
    values = SELECTORS[name].values(candidates, 0.2)
    np.testing.assert_allclose(SELECTORS[name].values(candidates[::-1], 0.2)[::-1], values, atol=1e-8)
    assert np.isfinite(values).all()
