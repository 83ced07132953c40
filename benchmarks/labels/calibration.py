"""What labels of old grids are worth on new ones, on synthetic logs that nothing was tuned on.

    python -m benchmarks.labels.calibration [SEED …] [--keep FOLDER]          default: demo seeds 0 1 2 3 4

Every seed twice: as the demo, and with fault kinds on the two new grids that no template describes and no old grid has. The labels of
the five old grids are the truth. F1 is that of the flags on the two new grids, n = 3,030 banners, 160 of them broken; with 20 labels, the
first of the label queue, it is that of all grids. An interval "holds" where the true precision and recall lie in it.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.detectors.quality import NEW_GRIDS
from benchmarks.detectors.unseen import UNSEEN
from core.banners.synthetic import write_demo
from core.calibration import verdicts
from core.calibration.learn import Labels
from core.calibration.publish import Preview, Request, preview
from core.calibration.verdicts import Scored
from core.clicks.ingest import ingest
from core.review import labelling_queue
from core.runs import run
from core.store import Store
from core.store.queries import runs

PICKS = 20
Row = dict[str, float]


def build(folder: Path, seed: int, unseen: bool) -> tuple[Path, Path]:
    """A scored store and its truth, made where they are not there yet."""
    name = f"{'unseen' if unseen else 'demo'}{seed}"
    store, truth = folder / f"{name}.duckdb", folder / name / "truth.csv"
    if not store.exists():
        files = write_demo(folder / name, seed, own_faults=dict.fromkeys(NEW_GRIDS, UNSEEN) if unseen else None)
        part = folder / f"{name}.part"
        part.unlink(missing_ok=True)
        with Store(part) as opened:
            ingest(opened, files.clicks)
            run.score(opened, deep="none")
        part.rename(store)
    return store, truth


def measure(path: Path, truth: Path) -> Row:
    """All lines of the table for one store."""
    with Store(path) as store:
        run_id = runs.last_finished(store)["run_id"]
        with store.cursor() as cursor:
            scored = verdicts.read_scored(cursor, run_id)
        queue = [row["banner_id"] for row in labelling_queue.head(store, run_id, "somebody", 20)]
    known = pd.read_csv(truth).set_index("banner_id")["broken"].astype(bool)
    broken = known.loc[scored.banner_id].to_numpy()
    new = np.isin(scored.grid_id, NEW_GRIDS)
    old = np.flatnonzero(~new)
    rows: Row = {"without labels": f1(broken[new], scored.flagged[new])}
    zero = _preview(scored, broken, np.arange(len(broken)), 0, 0)
    rows["0-shot"] = f1(broken[new], zero.after[new])
    for shots in (1, 10):
        after = [f1(broken[new], _preview(scored, broken, np.arange(len(broken)), shots, pick).after[new]) for pick in range(PICKS)]
        rows[f"{shots}-shot, mean of {PICKS} picks"] = float(np.mean(after))
        rows[f"{shots}-shot - 0-shot"] = float(np.mean(after)) - rows["0-shot"]
    first = np.flatnonzero(np.isin(scored.banner_id.astype(str), queue))
    few = preview(scored, scored.flagged, Labels(first, broken[first], scored.grid_id[first]), Request())
    rows["20 labels of the queue, all grids"] = f1(broken, few.after)
    rng = np.random.default_rng(0)
    holds = [_holds(_preview(scored, broken, np.unique(rng.choice(old, len(old))), 0, 0), broken, new) for _ in range(PICKS)]
    rows[f"precision's interval holds, of {PICKS}"], rows[f"recall's interval holds, of {PICKS}"] = np.sum(holds, axis=0).tolist()
    return rows


def _preview(scored: Scored, broken: np.ndarray, rows: np.ndarray, shots: int, pick: int) -> Preview:
    labels = Labels(rows, broken[rows], scored.grid_id[rows])
    return preview(scored, scored.flagged, labels, Request(target_grids=NEW_GRIDS, shots=shots, seed=pick))


def _holds(seen: Preview, broken: np.ndarray, new: np.ndarray) -> tuple[bool, bool]:
    flags, expected = seen.after, seen.calibration.expected
    hits = int((broken & flags & new).sum())
    precision, recall = hits / max(int((flags & new).sum()), 1), hits / int((broken & new).sum())
    return (
        expected.precision.low <= precision <= expected.precision.high,
        expected.recall.low <= recall <= expected.recall.high,
    )


def f1(broken: np.ndarray, flagged: np.ndarray) -> float:
    """Of flags."""
    return float(2 * (broken & flagged).sum() / max(int(broken.sum() + flagged.sum()), 1))


def _table(title: str, seeds: list[int], found: list[Row]) -> Table:
    table = Table(title=title)
    table.add_column("")
    for name in [*map(str, seeds), "mean", "lowest"]:
        table.add_column(name, justify="right")
    for label in found[0]:
        values = [row[label] for row in found]
        digits = 0 if "holds" in label else 4
        cells = [*(f"{v:.{digits}f}" for v in values), f"{np.mean(values):.{max(digits, 1)}f}", f"{np.min(values):.{digits}f}"]
        table.add_row(label, *cells)
    return table


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--keep", type=Path, help="keeps the stores here, and takes them from here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for unseen, title in ((False, "The demo's ten fault families"), (True, "New grids with kinds of fault that no old grid has")):
            found = [measure(*build(folder, seed, unseen)) for seed in asked.seeds]
            Console(width=140).print(_table(f"{title} (synthetic)", asked.seeds, found))


if __name__ == "__main__":
    main()
