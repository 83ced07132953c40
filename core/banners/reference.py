"""Reference: the click distribution that is expected of a banner. How it is learned stands in `fitting.py`.

A group is a grid, its banners with one product count, or those on one domain. Where a group is so small that a banner's own clicks
make up a part of its reference, there is one more reference for each fold of its banners, learned from the other folds: no banner of
such a group is compared with itself. Knows nothing of scores or flags.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.banners.heatmaps import Heatmaps
from core.errors import ContractError
from core.statistics.arrays import Codes, Matrix

N_FOLDS = 5


class Group(NamedTuple):
    """What a reference is the reference of; None = all of the wider group."""

    grid_id: int
    n_products: int | None
    domain: str | None
    n_banners: int
    n_clicks: int


@dataclass
class Reference:
    """Expected distributions: `groups` (r,), `p` (r + 5 f, 1600) float64 rows of sum 1, all positive.

    Row k < r of `p` is that of group k, which is its id. Five more rows follow for each group of `folded` (f,), in their order: what is
    expected of its banners in fold 0 to 4, learned without these.
    """

    groups: list[Group]
    p: Matrix
    folded: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._index = {(g.grid_id, g.n_products, g.domain): k for k, g in enumerate(self.groups)}
        self._first = np.full(len(self.groups), -1, dtype=np.int64)
        self._first[self.folded] = len(self.groups) + N_FOLDS * np.arange(len(self.folded))

    def rows(self, heatmaps: Heatmaps) -> Codes:
        """(n,) row of `p` of what is expected of every banner. Raises ContractError for a grid that was not fitted."""
        out = self.group_rows(heatmaps)
        first = self._first[out]
        inside = np.flatnonzero(first >= 0)
        out[inside] = first[inside] + folds(heatmaps.banner_id[inside])
        return out

    def group_rows(self, heatmaps: Heatmaps) -> Codes:
        """(n,) id of every banner's narrowest group. Raises ContractError for a grid that was not fitted."""
        columns = (heatmaps.grid_id, heatmaps.n_products, heatmaps.domain)
        codes, uniques = zip(*(pd.factorize(column) for column in columns), strict=True)
        key = np.ravel_multi_index(codes, [max(len(found), 1) for found in uniques])
        keys, of_key = np.unique(key, return_inverse=True)
        at = np.unravel_index(keys, [max(len(found), 1) for found in uniques])
        narrowest = [self._narrowest(*(found[i] for found, i in zip(uniques, three, strict=True))) for three in zip(*at, strict=True)]
        return np.array(narrowest, dtype=np.int64)[of_key]

    def group_of(self, row: int) -> Group:
        """The group that a row of `p` belongs to."""
        k = row if row < len(self.groups) else self.folded[(row - len(self.groups)) // N_FOLDS]
        return self.groups[k]

    def of_grid(self, grid_id: int) -> tuple["Reference", Codes]:
        """The references of one grid, and the ids of its groups here."""
        ids = np.array([k for k, g in enumerate(self.groups) if g.grid_id == grid_id], dtype=np.int64)
        folded = [i for i, k in enumerate(ids) if self._first[k] >= 0]
        more = [self._first[ids[i]] + np.arange(N_FOLDS) for i in folded]
        return Reference([self.groups[k] for k in ids], self.p[np.concatenate([ids, *more])], folded), ids

    def layouts(self, but: int) -> dict[int, Matrix]:
        """References of all grids other than `but`, and of their product counts, by id."""
        return {k: self.p[k] for k, g in enumerate(self.groups) if g.grid_id != but and g.domain is None}

    def _narrowest(self, grid_id: int, n_products: int, domain: str) -> int:
        for key in ((grid_id, n_products, domain), (grid_id, n_products, None), (grid_id, None, None)):
            if key in self._index:
                return self._index[key]
        raise ContractError(f"A banner needs the reference of its grid; grid {grid_id} was not among those fitted. Fit on it first.")


def joined(parts: list[Reference]) -> Reference:
    """The references of several grids as one; ids count on from part to part."""
    starts = np.cumsum([0, *[len(part.groups) for part in parts]]).tolist()
    own = [part.p[: len(part.groups)] for part in parts]
    more = [part.p[len(part.groups) :] for part in parts]
    folded = [start + k for start, part in zip(starts, parts, strict=False) for k in part.folded]
    return Reference([g for part in parts for g in part.groups], np.concatenate([*own, *more]), folded)


def folds(banner_id: NDArray[np.object_]) -> Codes:
    """(n,) fold 0 to 4 of every banner: by its id, so that it is the same in every run, batch and process."""
    return (pd.util.hash_array(np.asarray(banner_id, dtype=object)) % N_FOLDS).astype(np.int64)
