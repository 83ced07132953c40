"""Agreement of reviewers: against published examples, by hand, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from core.errors import InputError
from core.statistics.arrays import Codes
from core.statistics.kappa import MISSING, cohen_kappa, confusion, disagreements, krippendorff_alpha

# Four observers, twelve units, values 1 to 5, 0 = missing: Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability",
# section C, where alpha for nominal data is 0.743.
PUBLISHED = (
    np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
            [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
        ]
    ).T
    - 1
)


def ratings(n: int, agree: float, seed: int, n_values: int = 3) -> tuple[Codes, Codes]:
    """Two raters, the second of whom copies the first with probability `agree` and guesses otherwise."""
    rng = np.random.default_rng(seed)
    first, guess = rng.choice(n_values, size=(2, n), p=[0.6, 0.3, 0.1])
    return first, np.where(rng.random(n) < agree, first, guess)


def test_alpha_of_the_published_example() -> None:
    found = krippendorff_alpha(PUBLISHED, 5)
    assert found.value == pytest.approx(0.743, abs=5e-4)
    assert found.n == 11  # the twelfth unit has one rating
    assert 0.3 < found.low < found.value < found.high <= 1


def test_kappa_by_hand() -> None:
    # 50 items: both yes 20, both no 15, and 5 and 10 apart. p_o = 0.7, p_e = 0.5 * 0.6 + 0.5 * 0.4 = 0.5, kappa = 0.4
    first = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    second = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    assert cohen_kappa(first, second, 2).value == pytest.approx(0.4)
    assert confusion(first, second, 2).tolist() == [[15, 10], [5, 20]]


def test_alpha_of_two_raters_by_hand() -> None:
    # 10 items, 0/1: o_00 = 10, o_11 = 4, o_01 + o_10 = 6; n_0 = 13, n_1 = 7, n = 20.
    # alpha = (19 * 14 - (13 * 12 + 7 * 6)) / (20 * 19 - (13 * 12 + 7 * 6)) = 68 / 182
    codes = np.array([[0, 0]] * 5 + [[1, 1]] * 2 + [[0, 1]] * 2 + [[1, 0]])
    assert krippendorff_alpha(codes, 2).value == pytest.approx(68 / 182)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_and_confusion_are_those_of_scikit_learn(seed: int) -> None:
    first, second = ratings(80, 0.1 + 0.2 * seed, seed)
    assert cohen_kappa(first, second, 3).value == pytest.approx(cohen_kappa_score(first, second))
    np.testing.assert_array_equal(confusion(first, second, 3), confusion_matrix(first, second, labels=[0, 1, 2]))


def test_missing_ratings_leave_their_items_out() -> None:
    first, second = ratings(60, 0.7, 1)
    holes = second.copy()
    holes[::3] = MISSING
    kept = holes != MISSING
    assert cohen_kappa(first, holes, 3) == cohen_kappa(first[kept], second[kept], 3)
    assert krippendorff_alpha(np.stack([first, holes], 1), 3) == krippendorff_alpha(np.stack([first, second], 1)[kept], 3)


def test_intervals_hold_the_true_value_about_as_often_as_they_say() -> None:
    """True kappa of the simulated raters is 0.7 (the share that is copied); 95 % nominal, 200 samples of 150 items."""
    hits = {"kappa": 0, "alpha": 0}
    for seed in range(200):
        first, second = ratings(150, 0.7, seed)
        kappa = cohen_kappa(first, second, 3, n_draws=400, seed=seed)
        alpha = krippendorff_alpha(np.stack([first, second], 1), 3, n_draws=400, seed=seed)
        hits["kappa"] += kappa.low <= 0.7 <= kappa.high
        hits["alpha"] += alpha.low <= 0.7 <= alpha.high
    assert all(178 <= n <= 199 for n in hits.values()), hits


def test_the_same_seed_gives_the_same_interval() -> None:
    first, second = ratings(50, 0.5, 2)
    assert cohen_kappa(first, second, 3, seed=1) == cohen_kappa(first, second, 3, seed=1)
    assert cohen_kappa(first, second, 3, seed=1) != cohen_kappa(first, second, 3, seed=2)


def test_where_nothing_can_be_said_nothing_is_said() -> None:
    ones, none = np.ones(5, int), np.full(5, MISSING)
    for first, second, n in ((ones, ones, 5), (ones, none, 0), (ones[:0], ones[:0], 0)):
        for found in (cohen_kappa(first, second, 3), krippendorff_alpha(np.stack([first, second], 1), 3)):
            assert np.isnan([found.value, found.low, found.high]).all()
            assert found.n == n


def test_full_agreement_claims_no_certainty() -> None:
    codes = np.repeat([0, 1, 0], [6, 3, 1])
    for found in (cohen_kappa(codes, codes, 3), krippendorff_alpha(np.stack([codes, codes], 1), 3)):
        assert (found.value, found.n) == (1.0, 10)
        assert np.isnan([found.low, found.high]).all()


def test_disagreements_are_items_with_two_values() -> None:
    codes = np.array([[0, 0, MISSING], [0, 1, MISSING], [2, MISSING, MISSING], [MISSING, MISSING, MISSING], [1, 1, 2]])
    assert disagreements(codes, 3).tolist() == [1, 4]


def test_codes_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="0 to 2"):
        krippendorff_alpha(np.array([[0, 3]]), 3)
    with pytest.raises(InputError, match="same items"):
        confusion(np.zeros(3, int), np.zeros(4, int), 2)
