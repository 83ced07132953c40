"""How well selectors chose, where labels say so afterwards."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from core.models.selection.candidates import Candidate
from core.models.selection.selectors import SELECTORS, ensemble


class Outcome(NamedTuple):
    """What a way to choose comes to: the candidate taken, None where it is none of them, and its ROC-AUC."""

    selector: str
    chosen: int | None
    auc: float


def aucs(candidates: Sequence[Candidate], broken: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(k,) ROC-AUC of the candidates on test banners labelled broken or not (t,)."""
    return np.array([roc_auc_score(broken, c.scores) for c in candidates])


def outcomes(candidates: Sequence[Candidate], broken: NDArray[np.bool_], ratio: float) -> list[Outcome]:
    """A row a selector, `rand` only where a candidate is mixed; the last three are no selectors: `avg`, what a candidate drawn blindly has
    in the mean, `ensemble`, the mean of all scores, and `best`, which only labels find."""
    each = aucs(candidates, broken)
    names = [n for n in SELECTORS if n != "rand" or any(c.mixed for c in candidates)]
    rows = []
    for name in names:
        at = SELECTORS[name].chosen(candidates, ratio)
        rows.append(Outcome(name, at, float(each[at])))
    together = float(roc_auc_score(broken, ensemble(candidates)))
    best = int(each.argmax())
    return [*rows, Outcome("avg", None, float(each.mean())), Outcome("ensemble", None, together), Outcome("best", best, float(each[best]))]
