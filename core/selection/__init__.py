"""Choosing among trained detectors without labels: by where their embeddings lie, or by which of them agree.

In: `Candidate`s, each what one trained model makes of the same test banners, as plain arrays. Out: a value a candidate by every
selector, and which one it takes. Selectors see the unlabelled banners that are to be judged: they are transductive.
"""

from core.selection.candidates import Candidate
from core.selection.outcome import Outcome, outcomes
from core.selection.selectors import SELECTORS, Selector, ensemble

__all__ = ["SELECTORS", "Candidate", "Outcome", "Selector", "ensemble", "outcomes"]
