"""Raw scores and diagnoses of the banners of one grid. What they mean among all banners is judged in `judging.py`.

In: Heatmaps of a grid and the references of all grids. Out: arrays, a row a banner. Knows no files and no database.
"""

import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.banners import hot_cells
from core.banners.diagnosis import Diagnosis, diagnose, within
from core.banners.evidence import weigh
from core.banners.heatmaps import Heatmaps
from core.banners.images import Images
from core.banners.onset import Days, narrowed
from core.banners.reference import Reference
from core.banners.templates import FAMILIES
from core.banners.views import LEAST_CLICKS, Views
from core.banners.whole_grid import Totals
from core.detectors import CATALOGUE, make
from core.detectors.likelihood_ratio import LikelihoodRatio
from core.features.base import Extractor
from core.features.click_features import ClickFeatures
from core.features.count_sketch import extract_reduced
from core.scoring.below_bulk import below_bulk
from core.scoring.fault_families import TEMPLATE, freed
from core.scoring.task import Chosen, RunTask
from core.statistics.arrays import Mask, Vector
from core.statistics.p_values import few_clicks_limit

IMAGES = Images(noise_sd=0.03)
"""What networks that train on one grid see: some hundred clicks in 1,600 cells say more when a click counts for the cells around it."""

FeatureSource = Callable[[Extractor, csr_matrix], NDArray[np.float32]]
"""(extractor, counts (n, 1600)) -> features (n, d)."""


@dataclass
class Scored:
    """n banners with a raw score a detector, their reference's id and their diagnosis; rows stay aligned."""

    banner_id: NDArray[Any]
    grid_id: NDArray[np.int64]
    n_products: NDArray[np.int16]
    domain: NDArray[Any]
    n_clicks: Vector
    reference_id: NDArray[np.int64]
    scores: dict[str, Vector]
    """NaN where a detector left a banner out."""
    diagnoses: list[Diagnosis]
    limit: Vector
    """Highest normalised score that its clicks allow; infinite where they are not few, by themselves or beside the others'."""
    evidence: NDArray[np.float32]
    """(n, 10 v) evidence for each family of faults in each of v views of the clicks: see `fault_families.py`."""
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Seconds a detector: fit and score, or features and score where it is a deep one."""
    weights: dict[str, str | None] = field(default_factory=dict)
    """Which trained weights a detector used; None = it has none."""
    segments: dict[str, Reference] = field(default_factory=dict)
    """What is expected in each segment that has a reference."""
    totals: Totals | None = None
    """Clicks by day of all banners of the part, those left out too."""


_limits: WeakKeyDictionary[Heatmaps, tuple[Reference, Vector]] = WeakKeyDictionary()


def quiet(what: str) -> None:
    """Ignores progress."""


def score_grid(
    heatmaps: Heatmaps,
    reference: Reference,
    names: list[str],
    step: Callable[[str], None],
    own_weights: Path | None = None,
    chosen: Chosen | None = None,
    views: Views | None = None,
) -> Scored:
    """Scores and diagnoses the banners of one grid by detectors that learn from these very banners: see `GridScorer`."""
    scorer = GridScorer(int(heatmaps.grid_id[0]), reference, names, own_weights, chosen)
    return scorer.fit(heatmaps, step).score(heatmaps, step, views)


@dataclass(frozen=True)
class Detectors:
    """Which detectors score, and with what: the last three fields of `GridScorer`."""

    names: list[str]
    own_weights: Path | None = None
    """Absolute, or named from the job folder on."""
    chosen: Chosen | None = None

    @classmethod
    def of(cls, names: list[str], task: RunTask, job: Path) -> Self:
        """`names` as a task asks for them."""
        weights = Path(task.weights) if task.weights else None
        if weights is not None and weights.is_relative_to(job):
            weights = weights.relative_to(job)
        return cls(names, weights, task.chosen)

    def under(self, job: Path) -> "Detectors":
        """These where the job lies here."""
        return self if self.own_weights is None else replace(self, own_weights=job / self.own_weights)

    def files(self, job: Path) -> list[Path]:
        """Files of the weights, named from the job folder on."""
        return (
            [] if self.own_weights is None else [path.relative_to(job) for path in sorted((job / self.own_weights).glob("*.safetensors"))]
        )


@dataclass
class GridScorer:
    """The detectors `names`, none of them deep, of one grid. `reference` holds the groups of every grid; a group's row is its id.

    Networks take weights from the folder `own_weights` where it has them, and the detector that `chosen` names (detector, fields, and
    candidate, which is what they are called) has these fields. Heatmaps go to a detector as they are, as images of one channel, or as
    the features of `click_features`, which are made once for all that read them.
    """

    grid_id: int
    reference: Reference
    names: list[str]
    own_weights: Path | None = None
    chosen: Chosen | None = None

    def fit(self, heatmaps: Heatmaps, step: Callable[[str], None]) -> Self:
        """Learns what is normal from banners of the grid, of which some may be broken."""
        self.own_, self.ids_ = self.reference.of_grid(self.grid_id)
        self.others_ = self.reference.layouts(but=self.grid_id)
        self.fit_s_ = dict.fromkeys(self.names, 0.0)
        self.features_ = ClickFeatures(self.own_)
        self._read: tuple[Heatmaps, dict[str, Any]] = heatmaps, {"heatmaps": heatmaps}
        given = {"reference": self.own_, "others": self.others_, "own_weights": self.own_weights}
        self.detectors_: dict[str, Any] = {}
        for name in self.names:
            step(f"{name} learns")
            own = {f.name: given[f.name] for f in fields(CATALOGUE[name]) if f.name in given}
            detector = make(name, **own, **self._chosen_fields(name))
            X, groups = self._as_read(detector.reads, heatmaps)
            start = time.perf_counter()
            self.detectors_[name] = detector.fit(X, groups)
            self.fit_s_[name] = time.perf_counter() - start
        self.below_ = below_bulk(heatmaps, self.own_)
        self.weights_ = {name: getattr(detector, "weights", None) for name, detector in self.detectors_.items()}
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Travels without what it last read and without the other grids' layouts: `with_reference` gives it these again."""
        detectors = {name: _with_others(detector, {}) for name, detector in self.detectors_.items()}
        return {**self.__dict__, "reference": None, "others_": {}, "detectors_": detectors, "_read": (None, {})}

    def with_reference(self, reference: Reference) -> Self:
        """This one, fitted and travelled, with the references of all grids that it was fitted with."""
        self.reference, self.others_ = reference, reference.layouts(but=self.grid_id)
        self.detectors_ = {name: _with_others(detector, self.others_) for name, detector in self.detectors_.items()}
        return self

    def score(self, heatmaps: Heatmaps, step: Callable[[str], None], views: Views | None = None) -> Scored:
        """Raw scores and diagnoses of banners of the grid."""
        out = self.raw(heatmaps, self.names, step, views)
        step("diagnosis")
        out.diagnoses = self.diagnose(heatmaps)
        return out

    def diagnose(self, heatmaps: Heatmaps) -> list[Diagnosis]:
        """The likeliest fault of each banner."""
        return _diagnoses(heatmaps, self.own_, self.others_, self.reference)

    def raw(self, heatmaps: Heatmaps, names: list[str], step: Callable[[str], None], views: Views | None = None) -> Scored:
        """Raw scores by the detectors `names`; without diagnoses. `views` hold some of the same banners' clicks each: see `views.py`."""
        scores, seconds = {}, {}
        for name in names:
            step(name)
            X, groups = self._as_read(self.detectors_[name].reads, heatmaps)
            start = time.perf_counter()
            scores[name] = self.detectors_[name].score(X, groups)
            seconds[name] = (self.fit_s_[name], time.perf_counter() - start)
            self.fit_s_[name] = 0.0  # told once, however many banners follow
        what = (heatmaps.banner_id, heatmaps.grid_id, heatmaps.n_products, heatmaps.domain, heatmaps.n_clicks)
        weights = {name: self.weights_[name] for name in names}
        if self.chosen and self.chosen.detector in names:
            weights[self.chosen.detector] = self.chosen.candidate
        read = self._read
        limit = np.minimum(self._limit(heatmaps), self.below_.limit(heatmaps.n_clicks, scores, self._score))
        self._read = read
        views = views or Views({}, {})
        evidence = self._evidence(heatmaps, views, names)
        ids = self.ids_[self.own_.group_rows(heatmaps)]
        return Scored(*what, ids, scores, [], limit, evidence, seconds, weights, views.segments)

    def _evidence(self, heatmaps: Heatmaps, views: Views, names: list[str]) -> NDArray[np.float32]:
        if TEMPLATE not in names:
            return np.full((len(heatmaps), 0), np.nan, dtype=np.float32)
        ratio: LikelihoodRatio = self.detectors_[TEMPLATE]
        out = [freed(ratio.evidence(heatmaps).log_odds, heatmaps.n_clicks)]
        for view, seen in views.heatmaps.items():
            own = self.own_ if view.segment is None else views.segments.get(view.segment)
            out.append(np.full((len(seen), len(FAMILIES)), np.nan))
            rows = np.flatnonzero(seen.n_clicks >= LEAST_CLICKS)
            if own is not None and len(rows):
                some = seen.take(rows)
                out[-1][rows] = freed(weigh(some, own, self.others_).log_odds, some.n_clicks)
        return np.concatenate(out, axis=1, dtype=np.float32)

    def _score(self, name: str, heatmaps: Heatmaps) -> Vector:
        return np.asarray(self.detectors_[name].score(*self._as_read(self.detectors_[name].reads, heatmaps)))

    def _limit(self, heatmaps: Heatmaps) -> Vector:
        """Of how odd few clicks may look; kept as long as `heatmaps` are, since they are looked at tier by tier."""
        if heatmaps not in _limits or _limits[heatmaps][0] is not self.own_:
            _limits[heatmaps] = self.own_, few_clicks_limit(heatmaps.counts, self.own_.p, self.own_.group_rows(heatmaps))
        return _limits[heatmaps][1]

    def _chosen_fields(self, name: str) -> dict[str, Any]:
        """What a detector's fields are where it is the chosen one; JSON has no tuples."""
        if self.chosen is None or self.chosen.detector != name:
            return {}
        return {key: tuple(value) if isinstance(value, list) else value for key, value in self.chosen.fields.items()}

    def carry(self, heatmaps: Heatmaps, rows: NDArray[np.int64], some: Heatmaps) -> None:
        """Keeps what is known of the banners of `heatmaps` at `rows`, which are those of `some`: evidence and limit of few clicks."""
        self.detectors_["likelihood_ratio"].carry(heatmaps, rows, some)
        if heatmaps in _limits:
            _limits[some] = self.own_, self._limit(heatmaps)[rows]

    def _as_read(self, reads: str, heatmaps: Heatmaps) -> tuple[Any, NDArray[np.int64]]:
        """The heatmaps as they are, as images (n, 1, 40, 40) or as features (n, d), made once; and group codes (n,)."""
        if self._read[0] is not heatmaps:
            self._read = heatmaps, {"heatmaps": heatmaps}
        made = self._read[1]
        if reads == "images" and reads not in made:
            made[reads] = IMAGES.make(heatmaps.counts)
        if reads == "features" and reads not in made:
            made[reads] = self.features_.transform(heatmaps) if self.features_.columns_ else self.features_.fit_transform(heatmaps)
        return made[reads], np.zeros(len(heatmaps), np.int64) if reads == "heatmaps" else heatmaps.n_products.astype(np.int64)


def score_deep(
    part: Scored, heatmaps: Heatmaps, name: str, looked: Mask, usable: Mask, extractor: Extractor, source: FeatureSource = extract_reduced
) -> None:
    """Scores the banners `looked` (n,) of one grid by a deep detector, and puts NaN for the others, which are left out.

    Its anchors rest on the banners `usable`, one layout, which is a number of products, apart from the others.
    """
    part.scores[name] = np.full(len(heatmaps), np.nan)
    part.seconds[name], part.weights[name] = (0.0, 0.0), extractor.weights
    rows = np.flatnonzero(looked)
    if not len(rows):
        return
    groups = np.unique(heatmaps.n_products[rows], return_inverse=True)[1]
    detector = make(name, usable=usable[rows] | ~np.isin(groups, groups[usable[rows]]))  # a layout without any rests on all it has
    start = time.perf_counter()
    X = source(extractor, heatmaps.counts[rows])
    middle = time.perf_counter()
    part.scores[name][rows] = detector.fit(X, groups).score(X, groups)
    part.seconds[name] = (middle - start, time.perf_counter() - middle)


def diagnose_narrowly(part: Scored, heatmaps: Heatmaps, days: Days, flagged: NDArray[np.int64], reference: Reference) -> None:
    """Puts a new diagnosis in the place of the old for those of `flagged` whose fault began late or shows in one segment only."""
    grid_id = int(heatmaps.grid_id[0])
    own: dict[str | None, Reference] = {None: reference.of_grid(grid_id)[0]}
    own.update(part.segments.items())
    others = reference.layouts(but=grid_id)
    found = narrowed(heatmaps, days, flagged, own, others)
    for segment in sorted(set(found.segments), key=str):
        at = np.flatnonzero([name == segment for name in found.segments])
        again = _diagnoses(found.heatmaps.take(at), own[segment], others, reference)
        for i, diagnosis in zip(found.rows[at].tolist(), again, strict=True):
            if diagnosis.fault is not None:
                part.diagnoses[i] = within(diagnosis, segment)


def _with_others(detector: Any, others: dict[int, Vector]) -> Any:
    """A fitted detector with other grids' layouts in the place of its own, where it has any; else itself."""
    if not hasattr(detector, "others"):
        return detector
    out = copy(detector)
    out.others = others
    return out


def _diagnoses(heatmaps: Heatmaps, own: Reference, others: dict[int, Vector], reference: Reference) -> list[Diagnosis]:
    ratio: LikelihoodRatio = make("likelihood_ratio", reference=own, others=others)
    ratio.fit(heatmaps, np.zeros(len(heatmaps), dtype=np.int64))
    found = diagnose(ratio.evidence(heatmaps), {k: g.grid_id for k, g in enumerate(reference.groups)})
    for i, cell in hot_cells.hottest(heatmaps.counts, own.p, own.rows(heatmaps)).items():
        found[i] = hot_cells.named(found[i], cell)
    return found
