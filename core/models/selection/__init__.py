"""Choosing among trained detectors without labels: by where their embeddings lie, or by which of them agree.

In: `Candidate`s, each what one trained model makes of the same test banners, as plain arrays. Out: a value a candidate by every
selector, and which one it takes. Selectors see the unlabelled banners that are to be judged: they are transductive.
"""
