"""A scoring run in tiers, from a job folder to its results, one part of a grid at a time. See `cascade.py` for the tiers.

A sample of every grid is learned from first; then every part is read once. What it takes to look at a part (`Learned`) does not change any
more by then, so parts can be looked at in any order and by any process. What flags need of all parts together is a few numbers a banner
that was not cleared.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.banners import templates
from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps, concatenated
from core.banners.reference import Reference, joined
from core.banners.views import View, joined_views, views_between, views_of
from core.banners.views import learned as learned_views
from core.detectors import CATALOGUE
from core.errors import InputError
from core.jobs.executors import Engine, Step
from core.jobs.worker import say
from core.scoring import grid_changes, judging, result_tables
from core.scoring import tiers as cascade
from core.scoring.deep_detectors import look_deep
from core.scoring.fault_families import TEMPLATE
from core.scoring.grid import Detectors, GridScorer, Scored, quiet
from core.scoring.judging import About, Heard, Judge, Judged
from core.scoring.new_grids import find_strangers
from core.scoring.parts import Grid, Part, Read, days_of, grid_of, read_part, rows_of
from core.scoring.progress import LEARN_SHARE, SCORE_SHARE, WRITE_SHARE
from core.scoring.result_tables import write, write_days
from core.scoring.tables import table
from core.scoring.task import RunTask
from core.scoring.tiered_part import Learned, Looked, look
from core.scoring.tiers import TIERS, Budget, Cleared, gate_scores
from core.statistics.arrays import Mask, Vector


@dataclass
class Sample:
    """Banners of one grid drawn at random: references rest on all of them, detectors learn from `learned`, `control` is looked at by all.

    `n_banners` are in the grid. `whole`: these are so few that every banner is learned from and looked at.
    """

    heatmaps: Heatmaps
    learned: Heatmaps
    control: Heatmaps
    control_rows: NDArray[np.int64]
    views: dict[View, Heatmaps]
    """Of all banners of the sample."""
    n_banners: int
    whole: bool

    @property
    def grid_id(self) -> int:
        """The one grid of the sample."""
        return int(self.heatmaps.grid_id[0])


def score(job: Path, parts: list[Part], quick: list[str], deep: list[str], task: RunTask, engine: Engine) -> dict[str, Any]:
    """Scores the parts in tiers, and writes all tables; returns the totals. Raises InputError where the detectors cannot be tiered."""
    _check(quick)
    templates.prepare()
    fdr, seed = task.fdr, task.seed
    views = views_between(*days_of(parts), task.segments)
    samples = draw_samples(job, parts, seed, views, engine)
    detectors = Detectors.of(quick, task, job)
    learned = learn(job, samples, detectors, Budget(task.budget, task.budget_s), fdr, engine)
    learned.views = views
    found = engine.spread(look_at, learned, [part.within(job) for part in parts], lambda part: part.files(job))
    looked = []
    for k, part in enumerate(parts):
        say(LEARN_SHARE + (SCORE_SHARE - LEARN_SHARE) * k / len(parts), f"looking at grid {part.grid_id}: part {k + 1} of {len(parts)}")
        looked.append(next(found))
    return _finish(job, learned, looked, deep, task)


def look_at(learned: Learned, part: Part, job: Path, step: Step) -> Looked:
    """Looks at one part: a piece of work. What it found is `kept` at a path from the job folder on."""
    looked = look(part.under(job), learned, job)
    return replace(looked, kept=looked.kept.relative_to(job))


def _check(quick: list[str]) -> None:
    statistics = [name for name in quick if CATALOGUE[name].is_statistic]
    if not statistics or TEMPLATE not in quick:
        raise InputError(
            f"A cascade clears banners by statistics and {TEMPLATE}: the run takes {', '.join(quick) or 'neither'}. Name them too."
        )
    across = [name for name in quick if CATALOGUE[name].across]
    if across:
        raise InputError(f"A cascade looks at one grid at a time: {', '.join(across)} learn from all at once. Leave them out.")


class Draw(NamedTuple):
    """How many banners to draw from a part, which is the one with this number in its grid."""

    part: Part
    number: int
    wanted: int


class Drawn(NamedTuple):
    """Banners drawn at random from the `n_banners` of a part, and the generator after that."""

    heatmaps: Heatmaps
    views: dict[View, Heatmaps]
    n_banners: int
    rng: np.random.Generator


def draw_samples(job: Path, parts: list[Part], seed: int, views: list[View], engine: Engine) -> list[Sample]:
    """The sample of every grid, by grid_id, drawn evenly from its parts, and `views` of them."""
    draws = []
    for grid_id in sorted({part.grid_id for part in parts}):
        own = [part.within(job) for part in parts if part.grid_id == grid_id]
        draws += [Draw(part, k, max(1, cascade.PER_REFERENCE // len(own))) for k, part in enumerate(own)]
    found = engine.spread(draw, (seed, views), draws, lambda item: item.part.files(job))
    drawn: dict[int, list[Drawn]] = {}
    for k, item in enumerate(draws):
        say(LEARN_SHARE * k / len(draws) / 2, f"drawing a sample of grid {item.part.grid_id}: part {k + 1} of {len(draws)}")
        drawn.setdefault(item.part.grid_id, []).append(next(found))
    return [_sample(own) for own in drawn.values()]


def draw(given: tuple[int, list[View]], item: Draw, job: Path, step: Step) -> Drawn:
    """Draws from one part: a piece of work."""
    seed, views = given
    rng = np.random.default_rng([seed, item.part.grid_id, *([item.number] if item.number else [])])
    grid = read_part(item.part.under(job))
    n = len(grid.heatmaps)
    rows = np.arange(n) if n <= item.wanted else np.sort(rng.choice(n, item.wanted, replace=False))
    some = grid if n <= item.wanted else rows_of(grid, rows)
    return Drawn(some.heatmaps, views_of(some.heatmaps, some.days, views), n, rng)


def _sample(drawn: list[Drawn]) -> Sample:
    """The sample of one grid from what was drawn of its parts."""
    heatmaps, n = concatenated([part.heatmaps for part in drawn]), sum(part.n_banners for part in drawn)
    views = joined_views([part.views for part in drawn])
    if len(heatmaps) <= 2 * cascade.CONTROL:
        return Sample(heatmaps, heatmaps, heatmaps, np.arange(len(heatmaps)), views, n, True)
    order = drawn[0].rng.permutation(len(heatmaps))
    control, rest = order[: cascade.CONTROL], order[cascade.CONTROL :][: cascade.LEARNED]
    control = np.sort(control)
    return Sample(heatmaps, heatmaps.take(np.sort(rest)), heatmaps.take(control), control, views, n, False)


def learn(job: Path, samples: list[Sample], detectors: Detectors, budget: Budget, fdr: float, engine: Engine) -> Learned:
    """References, fitted detectors, what their scores mean, and the thresholds of the tiers, from samples of all grids."""
    quick = detectors.names
    reference = _fit_references(samples, engine)
    scorers, scored, seconds = {}, [], 0.0
    found = engine.spread(fit_grid, (reference, detectors), samples, lambda sample: detectors.files(job))
    for k, sample in enumerate(samples):
        say(LEARN_SHARE * (0.75 + k / len(samples) / 4), f"looking at the control sample of grid {sample.grid_id}")
        scorer, of_control, took = next(found)
        scorers[sample.grid_id] = scorer.with_reference(reference)
        scored.append(of_control)
        seconds += took
    about = About(*(result_tables.gathered(scored, name) for name in About._fields))
    scores = {name: np.concatenate([part.scores[name] for part in scored]) for name in quick}
    judge = (Judge() if all(sample.whole for sample in samples) else Judge(cascade.PER_KNOT)).fit(scores, about)
    heard = judge.hear(scores, about)
    judged = judge.verdict(heard, about, fdr)
    tiers = gate_scores(heard.normalised)
    most = budget.most(sum(sample.n_banners for sample in samples), seconds / len(about.grid_id))
    gates = cascade.fit_gates(tiers, judged.flagged, most)
    cleared = [Cleared().fit(tier, judged.p_broken, fate) for tier, fate in zip(tiers, gates.cleared(tiers), strict=True)]
    control = {s.grid_id: s.control.banner_id for s in samples}
    whole, segments = {s.grid_id for s in samples if s.whole}, {int(part.grid_id[0]): part.segments for part in scored}
    return Learned(reference, scorers, judge, gates, cleared, control, whole, quick, segments=segments)


def _fit_references(samples: list[Sample], engine: Engine) -> Reference:
    found = engine.spread(fit_sample, None, samples, lambda sample: [])
    fitted = []
    for k, sample in enumerate(samples):
        say(LEARN_SHARE * (0.5 + k / len(samples) / 4), f"learning what grid {sample.grid_id} looks like ({k + 1} of {len(samples)})")
        fitted.append(next(found))
    return joined(fitted)


def fit_sample(given: None, sample: Sample, job: Path, step: Step) -> Reference:
    """References of one grid: a piece of work."""
    return fit_reference(sample.heatmaps)


def fit_grid(given: tuple[Reference, Detectors], sample: Sample, job: Path, step: Step) -> tuple[GridScorer, Scored, float]:
    """The fitted detectors of one grid, what they say of its control sample, and the processor seconds of that: a piece of work."""
    reference, detectors = given[0], given[1].under(job)
    scorer = GridScorer(sample.grid_id, reference, detectors.names, detectors.own_weights, detectors.chosen).fit(sample.learned, quiet)
    views = learned_views(sample.views).take(sample.control_rows)
    began = time.process_time()
    return scorer, scorer.raw(sample.control, detectors.names, quiet, views), time.process_time() - began


def _finish(job: Path, learned: Learned, looked: list[Looked], deep: list[str], task: RunTask) -> dict[str, Any]:
    """Flags, first days and tables, once all parts were looked at; returns the totals."""
    out, fdr = job / "out", task.fdr
    scored = [part.scored for part in looked]
    about = About(*(result_tables.gathered(scored, name) for name in About._fields))
    stands_for = _stands_for(looked)
    heard = _heard(looked, learned.quick)

    def read(i: int) -> Grid:
        return grid_of(pq.read_table(job / looked[i].kept), looked[i].grid_id)

    if deep:
        first = learned.judge.verdict(heard, about, fdr, stands_for)
        drawn = np.concatenate([part.control for part in looked])
        heard = learned.judge.take_in(heard, *_look_deep(scored, deep, first, drawn, about, task, read), drawn)
    judged = learned.judge.verdict(heard, about, fdr, stands_for)
    strangers = find_strangers(job / "known" / "references.parquet", scored, read)
    judged = judging.hold_back(judged, result_tables.held_back(scored, strangers))
    since, days = write_days(out, scored, judged, learned.reference, read)
    say(WRITE_SHARE, "writing results")
    write(out, "result", 0, result_tables.result_table(scored, judged, since))
    for name in [*learned.quick, *deep]:
        write(out, "score", name, result_tables.score_table(scored, judged, name))
    write(out, "reference", 0, result_tables.reference_table(learned.reference))
    write(out, "run_detector", 0, result_tables.detector_table(scored))
    write(out, "stranger", 0, strangers)
    write(out, "grid_change", 0, grid_changes.change_table(job / "known" / "references.parquet", result_tables.totals(scored)))
    write(out, "tier", 0, _tier_table(learned, looked))
    days = _count_days(out, looked, days)
    n_cleared = sum(sum(part.n_cleared) for part in looked)
    return {
        "n_banners": len(judged.flagged) + n_cleared,
        "n_cleared": n_cleared,
        "n_clicks": int(sum(part.n_clicks for part in looked)),
        "n_flagged": int(judged.flagged.sum()),
        "n_false_expected": float((1 - judged.p_broken)[judged.flagged].sum()),
        "first_day": str(days[0]),
        "last_day": str(days[1]),
        "settings": {
            "deep_weight": round(judged.deep_weight, 4),
            "cascade": True,
            "budget": task.budget,
            "budget_s": task.budget_s,
        },
    }


def _look_deep(
    scored: list[Scored], names: list[str], first: Judged, drawn: Mask, about: About, task: RunTask, read: Read
) -> tuple[dict[str, Vector], About, Mask]:
    """Scores of the deep detectors, NaN where they left a banner out; and the control sample, of the banners `drawn` at random."""
    control = np.zeros(len(drawn), dtype=bool)
    n_products = result_tables.gathered(scored, "n_products")
    control[drawn] = judging.control_sample(about.grid_id[drawn], n_products[drawn], task.seed)
    wanted = np.ones(len(drawn), dtype=bool) if task.deep == "all" else judging.candidates(first, about.grid_id, control)
    look_deep(scored, names, wanted, control & ~first.flagged, task, read)
    return {name: np.concatenate([part.scores[name] for part in scored]) for name in names}, about, control


def _heard(looked: list[Looked], names: list[str]) -> Heard:
    """What was heard of all parts."""
    heard = [part.heard for part in looked]
    normalised = {name: np.concatenate([part.normalised[name] for part in heard]) for name in names}
    p_values = {name: np.concatenate([part.p_values[name] for part in heard]) for name in names}
    return Heard(normalised, p_values, np.concatenate([part.combined for part in heard]))


def _stands_for(looked: list[Looked]) -> Vector:
    """(n,) banners of its grid that each stands for: control banners whose like was cleared share the cleared ones among them."""
    out = [np.ones(len(part.control)) for part in looked]
    for grid_id in {part.grid_id for part in looked}:
        own = [k for k, part in enumerate(looked) if part.grid_id == grid_id]
        n_cleared = sum(sum(looked[k].n_cleared) for k in own)
        alike = {k: looked[k].spared for k in own} if any(looked[k].spared.any() for k in own) else {k: looked[k].control for k in own}
        n_alike = sum(int(mask.sum()) for mask in alike.values())
        for k, mask in alike.items():
            out[k][mask] += n_cleared / n_alike
    return np.concatenate(out)


def _tier_table(learned: Learned, looked: list[Looked]) -> pa.Table:
    """Table `tier`: banners in and cleared, seconds, and what each tier loses by the control sample."""
    cleared = [sum(part.n_cleared[k] for part in looked) for k in (0, 1)]
    n = sum(len(part.control) for part in looked) + sum(cleared)
    losses = learned.gates.losses
    return table(
        "tier",
        {
            "tier": [0, 1, 2],
            "name": [*TIERS, "all detectors"],
            "n_in": [n, n - cleared[0], n - sum(cleared)],
            "n_cleared": [*cleared, 0],
            "seconds": [float(sum(part.seconds[k] for part in looked)) for k in range(3)],
            "cut": [*learned.gates.cuts, None],
            "n_found": [*[loss.n_found for loss in losses], None],
            "n_lost": [*[loss.n_lost for loss in losses], None],
        },
    )


def _count_days(out: Path, looked: list[Looked], bounds: list[Any]) -> list[Any]:
    """Adds the cleared banners to table run_day, a row a grid and day; returns the bounds of all days."""
    rows = [pq.read_table(path) for path in sorted((out / "run_day").glob("*.parquet"))]
    for part in looked:
        zero = np.zeros(len(part.days), dtype=np.int64)
        grid_id = np.full(len(part.days), part.grid_id, dtype=np.int64)
        of_part = {c: part.days[c] for c in ("day", "n_banners")}
        rows.append(table("run_day", {"grid_id": grid_id, **of_part, "n_broken": zero, "n_new": zero}))
    summed = pa.concat_tables(rows).group_by(["grid_id", "day"]).aggregate([(c, "sum") for c in ("n_banners", "n_broken", "n_new")])
    summed = summed.rename_columns([name.removesuffix("_sum") for name in summed.column_names])
    for path in (out / "run_day").glob("*.parquet"):
        path.unlink()
    write(out, "run_day", 0, table("run_day", {name: summed[name] for name in summed.column_names}))
    days = summed["day"].to_pylist()
    return [min(days), max(days)]
