"""One scoring run from a job folder to its results: Parquet in, Parquet out, no database.

    python -m core.scoring.worker JOBDIR

Reads request.json (a RunTask), heatmaps/grid_id=<id>/*.parquet, one grid at a time, and known/references.parquet where there is one; writes
out/<table>/*.parquet. `core.jobs.worker` does the rest.
"""

import platform
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.banners.fitting import fit_reference
from core.banners.reference import Reference, joined
from core.banners.views import View, learned, views_between, views_of
from core.banners.whole_grid import totals_of
from core.detectors import CATALOGUE, default_names, load_libraries, make
from core.errors import InputError
from core.jobs import executors, ray_executor, worker
from core.jobs.executors import Engine, Step
from core.jobs.worker import run, say
from core.logs.progress import Progress
from core.scoring import grid_changes, judging, result_tables, tiered_run
from core.scoring.all_grids import score_across
from core.scoring.deep_detectors import check, look_deep
from core.scoring.grid import Detectors, Scored, score_grid
from core.scoring.judging import About, Judged
from core.scoring.new_grids import find_strangers
from core.scoring.parts import Part, days_of, parts_of, read_part
from core.scoring.progress import SCORE_SHARE, WRITE_SHARE
from core.scoring.result_tables import write, write_days
from core.scoring.task import Chosen, RunTask
from core.statistics.arrays import Mask

FIT_SHARE = 0.15
"""Share of the run that is done after fitting the references."""


def main(job: Path) -> None:
    """Runs the job in `job`; every result file is complete before summary.json appears."""
    worker.carry_out(job, RunTask, score_run, niceness=0)


def score_run(job: Path, task: RunTask, progress: Progress) -> dict[str, Any]:
    """Scores the heatmaps in the folder `job` and writes all tables; returns the totals."""
    start = time.perf_counter()
    quick, deep = _parted(task.detectors or _with_chosen(default_names(), task.chosen), task.deep)
    check(deep, task.weights)
    parts = parts_of(job)
    if not parts:
        raise InputError("A run needs clicks: the job holds none. Widen the window or ingest a log.")
    load_libraries([*quick, *deep])
    score = tiered_run.score if task.cascade else _score_all
    with _engine(job, parts, task) as engine:
        totals = score(job, parts, quick, deep, task, engine)
    return {
        **totals,
        "settings": {
            "detectors": [*quick, *deep],
            "deep": task.deep,
            "engine": task.engine,
            "seed": task.seed,
            "seconds": round(time.perf_counter() - start, 3),
            "python": platform.python_version(),
            "numpy": np.__version__,
            **totals["settings"],
        },
    }


def _engine(job: Path, parts: list[Part], task: RunTask) -> AbstractContextManager[Engine]:
    """Where the grids or their parts are looked at."""
    if task.engine == "ray":
        say(0.0, "starting Ray" if task.ray_address is None else f"joining the Ray cluster at {task.ray_address}")
        return ray_executor.started(job, task.ray_address)
    return nullcontext(executors.local(job, [part.folder for part in parts]))


def _parted(names: list[str], deep: str) -> tuple[list[str], list[str]]:
    """Detectors that look at all banners, and those that look at some; the latter none where `deep` is "none"."""
    slow = [name for name in names if name in CATALOGUE and CATALOGUE[name].deep]
    quick = [name for name in names if name not in slow]
    for name in quick:
        make(name)
    if not quick and deep == "none":
        raise InputError(f"A run without deep detectors takes others: only {', '.join(slow)} was asked for. Name more, or say --deep all.")
    return quick, slow if deep != "none" else []


def _with_chosen(names: list[str], chosen: Chosen | None) -> list[str]:
    """The default run, and the model that was chosen for it."""
    return names if chosen is None or chosen.detector in names else [*names, chosen.detector]


def _score_all(job: Path, parts: list[Part], quick: list[str], deep: list[str], task: RunTask, engine: Engine) -> dict[str, Any]:
    """Scores every banner by every quick detector, and writes all tables; returns the totals. A part is a whole grid here."""
    out, fdr = job / "out", task.fdr
    reference = _fit_references(job, parts, engine)
    within = [name for name in quick if not CATALOGUE[name].across]
    detectors = Detectors.of(within, task, job)
    views = views_between(*days_of(parts), task.segments)
    scored = _score(job, parts, (reference, detectors, views), engine)
    together = [name for name in quick if CATALOGUE[name].across]
    of_grid = {part.grid_id: part for part in parts}
    read = lambda found: read_part(of_grid[int(found.grid_id[0])]).heatmaps  # noqa: E731
    score_across(scored, read, together, lambda what: say(SCORE_SHARE, f"all grids together: {what}"))
    say(SCORE_SHARE, "comparing all banners")
    judged = _judge(scored, fdr) if quick else None
    if deep:
        control = _look_deep(scored, parts, deep, judged, task)
        judged = _judge(scored, fdr, control)
    assert judged is not None
    strangers = find_strangers(job / "known" / "references.parquet", scored, lambda i: read_part(parts[i]))
    judged = judging.hold_back(judged, result_tables.held_back(scored, strangers))
    since, days = write_days(out, scored, judged, reference, lambda i: read_part(parts[i]))
    say(WRITE_SHARE, "writing results")
    write(out, "result", 0, result_tables.result_table(scored, judged, since))
    for name in [*quick, *deep]:
        write(out, "score", name, result_tables.score_table(scored, judged, name))
    write(out, "reference", 0, result_tables.reference_table(reference))
    write(out, "run_detector", 0, result_tables.detector_table(scored))
    write(out, "stranger", 0, strangers)
    write(out, "grid_change", 0, grid_changes.change_table(job / "known" / "references.parquet", result_tables.totals(scored)))
    return {
        "n_banners": len(judged.flagged),
        "n_clicks": int(result_tables.gathered(scored, "n_clicks").sum()),
        "n_flagged": int(judged.flagged.sum()),
        "n_false_expected": float((1 - judged.p_broken)[judged.flagged].sum()),
        "first_day": str(days[0]),
        "last_day": str(days[1]),
        "settings": {"deep_weight": round(judged.deep_weight, 4)},
    }


def _fit_references(job: Path, parts: list[Part], engine: Engine) -> Reference:
    found = engine.spread(fit_part, None, [part.within(job) for part in parts], lambda part: part.files(job))
    fitted = []
    for k, part in enumerate(parts):
        say(FIT_SHARE * k / len(parts), f"learning what grid {part.grid_id} looks like ({k + 1} of {len(parts)})")
        fitted.append(next(found))
    return joined(fitted)


def fit_part(given: None, part: Part, job: Path, step: Step) -> Reference:
    """References of one grid: a piece of work."""
    return fit_reference(read_part(part.under(job)).heatmaps)


def _score(job: Path, parts: list[Part], given: tuple[Reference, Detectors, list[View]], engine: Engine) -> list[Scored]:
    """Every grid's scores. Several grids are under way at a time, so steps are counted, whichever grid they are of."""
    detectors = given[1]
    in_all, at = len(parts) * (2 * len(detectors.names) + 1), [0]

    def told(what: str) -> None:
        say(FIT_SHARE + (SCORE_SHARE - FIT_SHARE) * at[0] / in_all, what)
        at[0] += 1

    items = [Numbered(part.within(job), f"scoring grid {part.grid_id} ({k + 1} of {len(parts)})") for k, part in enumerate(parts)]
    items.sort(key=lambda item: item.part.n_bytes(job), reverse=True)  # or all would wait for a large one at the end
    reads = lambda item: [*item.part.files(job), *detectors.files(job)]  # noqa: E731
    out = []
    for item, scored in zip(items, engine.spread(score_part, given, items, reads, told), strict=True):
        out.append(scored)
        at[0] = max(at[0], len(out) * in_all // len(parts))  # where nobody hears of steps
        say(FIT_SHARE + (SCORE_SHARE - FIT_SHARE) * at[0] / in_all, f"{item.told}: done")
    return sorted(out, key=lambda scored: int(scored.grid_id[0]))  # as the parts, each of which is a grid here


class Numbered(NamedTuple):
    """A grid, and how a person is told that it is being scored."""

    part: Part
    told: str


def score_part(given: tuple[Reference, Detectors, list[View]], item: Numbered, job: Path, step: Step) -> Scored:
    """Scores and diagnoses of one grid: a piece of work."""
    reference, detectors = given[0], given[1].under(job)
    grid, tell = read_part(item.part.under(job)), lambda what: step(f"{item.told}: {what}")
    views = learned(views_of(grid.heatmaps, grid.days, given[2]))
    scored = score_grid(grid.heatmaps, reference, detectors.names, tell, detectors.own_weights, detectors.chosen, views)
    scored.totals = totals_of(grid.days)
    return scored


def _judge(scored: list[Scored], fdr: float, control: Mask | None = None) -> Judged:
    scores = {name: np.concatenate([part.scores[name] for part in scored]) for name in scored[0].scores}
    return judging.judge(scores, About(*(result_tables.gathered(scored, name) for name in About._fields)), fdr, control)


def _look_deep(scored: list[Scored], parts: list[Part], names: list[str], judged: Judged | None, task: RunTask) -> Mask:
    """Scores of the deep detectors on all banners, or on those that could still be flagged and a control sample, which it returns."""
    grid_id, n_products = result_tables.gathered(scored, "grid_id"), result_tables.gathered(scored, "n_products")
    if judged is None or task.deep == "all":
        control = looked = np.ones(len(grid_id), dtype=bool)
    else:
        control = judging.control_sample(grid_id, n_products, task.seed)
        looked = judging.candidates(judged, grid_id, control)
    usable = control if judged is None else control & ~judged.flagged
    look_deep(scored, names, looked, usable, task, lambda i: read_part(parts[i]))
    return control


if __name__ == "__main__":
    run(main)
