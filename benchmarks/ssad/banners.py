"""Which augmentations matter on banners: networks that learn from other corruptions, and every self-supervised detector, on three logs.

    python -m benchmarks.ssad.banners [--keep FOLDER] [--seeds 0 1] [--only corruptions|detectors] [--rows NAME …]

**Corruptions**: the network of `ssad_clicks` itself, but each trained for STEPS steps only (the shipped one: 1,600 of twice the size), on
the same synthetic pool: from all corruptions of clicks, from all but one, and from augmentations of images, on equal terms. **Detectors**:
each fitted on every grid by itself, beside `ssad_clicks` and `likelihood_ratio`; and what they add to `combined`.
Logs: the two new grids of a synthetic demo with the ten fault families; with five kinds of fault unlike any corruption; and the sample log
with its reviewers' labels. ROC-AUC and average precision of raw scores within a grid, mean over grids with four broken ones or more. What
is trained or scored is kept in FOLDER as it comes, so that a stopped run goes on.
"""

import argparse
import csv
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.detectors.ablation import Case, differences
from benchmarks.detectors.quality import NEW_GRIDS
from benchmarks.ssad.clicks import OTHER
from core.banners.fitting import fit_reference
from core.banners.heatmaps import Heatmaps, heatmaps_of
from core.banners.reference import Reference
from core.banners.synthetic import DEMO, Fault, make_clicks
from core.clicks.ingest import ingest
from core.detectors import CATALOGUE, default_names, make
from core.detectors.augment import NAMES
from core.detectors.ssad_clicks import logits
from core.features.networks.click_networks import SsadClicksNet
from core.features.networks.weight_files import load_network, save_network
from core.logs.progress import no_progress
from core.models.training.banner_pools import Pool, synthetic_pool
from core.models.training.corruptions import CORRUPTIONS
from core.models.training.ssad_clicks import SsadPlan, train_ssad_clicks
from core.models.training.train import heatmaps_of_rows, read_banners
from core.scoring.grid import IMAGES, score_grid
from core.scoring.judging import About
from core.statistics.arrays import Vector
from core.store import Store

STEPS, BATCH = 200, 64
LEAST_BROKEN = 4
PLAIN = ("ssad_cutout", "ssad_cutavg", "ssad_cutpaste", "ssad_cutdiff", "st_ssad")
SAMPLE = Path(__file__).parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Log:
    """Banners with known truth: `broken` (n,), and `known` (n,) where reviewers said so; references of all grids of the log."""

    name: str
    heatmaps: Heatmaps
    reference: Reference
    broken: NDArray[np.bool_]
    known: NDArray[np.bool_]

    def grids(self) -> list[NDArray[np.int64]]:
        """Rows of every grid."""
        return [np.flatnonzero(self.heatmaps.grid_id == g) for g in np.unique(self.heatmaps.grid_id)]

    def measured(self, scores: Vector) -> tuple[float, float]:
        """ROC-AUC and average precision within a grid, mean over the grids with LEAST_BROKEN broken ones or more."""
        found = []
        for rows in self.grids():
            own = rows[self.known[rows]]
            if self.broken[own].sum() >= LEAST_BROKEN:
                found.append((roc_auc_score(self.broken[own], scores[own]), average_precision_score(self.broken[own], scores[own])))
        return tuple(np.mean(found, axis=0).tolist())


def synthetic_log(name: str, seed: int, faults: dict[str, Fault] | None) -> Log:
    """The new grids of a synthetic demo."""
    log = make_clicks(seed, DEMO, faults)
    heatmaps = heatmaps_of(log.banner, log.points, log.banner_id, log.grid_id, log.n_products, log.domain)
    new = np.flatnonzero(np.isin(log.grid_id, NEW_GRIDS))
    return Log(f"{name} {seed}", heatmaps.take(new), fit_reference(heatmaps), log.fault[new] != "", np.ones(len(new), dtype=bool))


def sample_log(clicks: Path, labels: Path) -> Log:
    """A click log with labels banner_id,reviewer,label: broken or ok by majority, unknown where that is a tie or there is none."""
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "sample.duckdb") as store:
        ingest(store, [clicks])
        heatmaps = heatmaps_of_rows(read_banners(store))
    votes: Counter[str] = Counter()
    with labels.open() as file:
        for row in csv.DictReader(file):
            votes[row["banner_id"]] += {"broken": 1, "ok": -1}.get(row["label"], 0)
    said = np.array([votes[b] for b in heatmaps.banner_id])
    return Log("sample", heatmaps, fit_reference(heatmaps), said > 0, said != 0)


def read_logs(seeds: list[int], sample: tuple[Path, Path]) -> list[Log]:
    """Both synthetic logs of every seed, and the sample where it is there."""
    logs = [log for s in seeds for log in (synthetic_log("ten families", s, None), synthetic_log("other kinds", s, OTHER))]
    return logs + ([sample_log(*sample)] if all(path.exists() for path in sample) else [])


def variants() -> dict[str, dict[str, Any]]:
    """What networks learn from, by what the table calls it."""
    every = tuple(CORRUPTIONS)
    found: dict[str, dict[str, Any]] = {"all corruptions of clicks": {}, "image: all five": {"images": NAMES}}
    found |= {f"image: {name}": {"images": (name,)} for name in NAMES}
    return found | {f"… without {name}": {"corruptions": tuple(c for c in every if c != name)} for name in every}


def _weights(what: str, seed: int, keep: Path) -> Path:
    return keep / f"{what.replace('… ', '').replace(': ', ' ').replace(' ', '_')}-{seed}.safetensors"


def network_of(what: str, seed: int, pool: Callable[[], Pool], keep: Path) -> SsadClicksNet:
    """The network trained from `what`, from `keep` where it is there."""
    path = _weights(what, seed, keep)
    if not path.exists():
        plan = SsadPlan(steps=STEPS, batch=BATCH, seed=seed, **variants()[what])
        network, about = train_ssad_clicks(pool(), plan, path.with_suffix(".checkpoint"), no_progress)
        save_network(network, path, about)
    return load_network(SsadClicksNet(), path)  # type: ignore[return-value]


def compare_corruptions(logs: list[Log], keep: Path, seeds: list[int], names: list[str], console: Console) -> None:
    """Prints a row a network; differences are to the first of `names`, that of all corruptions, of the same seed."""
    pools: list[Pool] = []

    def pool() -> Pool:
        return pools[0] if pools else pools.append(synthetic_pool(0)) or pools[0]  # type: ignore[func-returns-value]

    kinds = list(dict.fromkeys(log.name.rstrip("0123456789 ") for log in logs))
    table = Table(title=f"What the network learns from; {STEPS} steps of {BATCH} pairs, mean of networks of seeds {seeds}; AUC / AP")
    for column in ("learned from", *kinds, *[f"{kind}: AP less than all" for kind in kinds]):
        table.add_column(column, justify="left" if column == "learned from" else "right")
    base: dict[str, Vector] = {}
    for what in names:
        found = {
            kind: np.array([[measured_of(what, seed, log, pool, keep) for log in logs if log.name.startswith(kind)] for seed in seeds])
            for kind in kinds
        }
        base = base or {kind: v[..., 1] for kind, v in found.items()}
        cells = ["{:.4f} / {:.4f}".format(*found[kind].mean(axis=(0, 1))) for kind in kinds]
        less = [found[kind][..., 1] - base[kind] for kind in kinds]
        table.add_row(what, *cells, *[f"{d.mean():+.4f} ({d.min():+.4f} to {d.max():+.4f})" for d in less])
    console.print(table)


def measured_of(what: str, seed: int, log: Log, pool: Callable[[], Pool], keep: Path) -> tuple[float, float]:
    """ROC-AUC and average precision of the network of `what` on a log; its scores are kept."""
    path = _weights(what, seed, keep).with_suffix(f".{log.name.replace(' ', '_')}.npy")
    if not path.exists():
        network, rows = network_of(what, seed, pool, keep), log.reference.rows(log.heatmaps)
        np.save(path, logits(network, log.heatmaps.counts, log.reference.p.astype(np.float32), rows))
    return log.measured(np.load(path))


def detectors() -> dict[str, dict[str, Any]]:
    """Detectors that learn a grid by itself, by what the table calls them, with fields that are replaced."""
    found: dict[str, dict[str, Any]] = {}
    for name in PLAIN:
        found |= {name: {}, f"{name}, image alone": {"conditioned": False}}
    return found | {"ssad_cutout, turned instead": {"augmentation": "rotation", "angle": (15.0, 345.0)}}


def scores_of(what: str, log: Log, keep: Path) -> NDArray[np.float64]:
    """(2, n) raw scores by logit and by distance, each grid fitted by itself, from `keep` where they are there."""
    path = keep / f"{log.name}-{what}.npy".replace(" ", "_").replace(",", "")
    if not path.exists():
        out = np.empty((2, len(log.heatmaps)))
        for rows in log.grids():
            X = IMAGES.make(log.heatmaps.counts[rows])
            groups = np.unique(log.heatmaps.n_products[rows], return_inverse=True)[1].astype(np.int64)
            detector = make(what.split(",")[0], **detectors()[what]).fit(X, groups)
            for k, measure in enumerate(("logit", "mahalanobis")):
                detector.measure = measure
                out[k, rows] = detector.score(X, groups)
        np.save(path, out)
    return np.asarray(np.load(path))


def default_scores(log: Log, keep: Path) -> tuple[dict[str, Vector], Vector]:
    """Scores of the detectors of the default run that score all banners, and the limits that few clicks set."""
    path, names = keep / f"{log.name}-default.npz".replace(" ", "_"), [n for n in default_names() if not CATALOGUE[n].deep]
    if not path.exists():
        found = {name: np.empty(len(log.heatmaps)) for name in [*names, "limit"]}
        for rows in log.grids():
            part = score_grid(log.heatmaps.take(rows), log.reference, names, lambda what: None)
            for name in names:
                found[name][rows] = part.scores[name]
            found["limit"][rows] = part.limit
        np.savez(path, **found)  # type: ignore[arg-type]
    with np.load(path) as kept:
        return {name: kept[name] for name in names}, kept["limit"]


def compare_detectors(logs: list[Log], keep: Path, names: list[str], console: Console) -> None:
    """Prints a row a detector, and what those that are in the catalogue add to the average precision of `combined`."""
    table = Table(title="Detectors: ROC-AUC / AP alone, by logit and by distance; and combined's AP with it - without")
    for column in ("detector", *[c for log in logs for c in (log.name, "by distance", "adds to combined")]):
        table.add_column(column, justify="left" if column == "detector" else "right")
    default = [default_scores(log, keep) for log in logs]
    for name in ("ssad_clicks", "likelihood_ratio"):
        table.add_row(name, *[c for log, (s, _) in zip(logs, default, strict=True) for c in (_cell(log, s[name]), "", "")])
    for what in names:
        cells = []
        for log, known in zip(logs, default, strict=True):
            scores = scores_of(what, log, keep)
            adds = adds_to_combined(log, known, {what: scores[1]}) if what in PLAIN else ""
            cells += [_cell(log, scores[0]), _cell(log, scores[1]), adds]
        table.add_row(what, *cells)
    plain = [name for name in names if name in PLAIN]
    together = [adds_to_combined(log, d, {n: scores_of(n, log, keep)[1] for n in plain}) for log, d in zip(logs, default, strict=True)]
    table.add_row(f"{len(plain)} by distance together", *[c for adds in together for c in ("", "", adds)])
    console.print(table)


def _cell(log: Log, scores: Vector) -> str:
    return "{:.3f} / {:.3f}".format(*log.measured(scores))


def adds_to_combined(log: Log, default: tuple[dict[str, Vector], Vector], extra: dict[str, Vector]) -> str:
    """Average precision of `combined` with the scores `extra` less that without, and its interval by resampled banners."""
    everybody = np.ones(len(log.broken), dtype=bool)
    about = About(log.heatmaps.grid_id, log.heatmaps.n_clicks, default[1])
    case = Case({**default[0], **extra}, about, log.broken, everybody)
    with_it, without = (case.judged(names).combined[log.known] for names in (list(case.scores), list(default[0])))
    found = differences([replace(case, broken=log.broken[log.known])], [with_it], [without])[:, 1]
    return "{:+.4f} ({:+.4f} to {:+.4f})".format(found.mean(), *np.quantile(found, [0.025, 0.975]))


def main() -> None:
    """Prints the tables asked for."""
    import torch

    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", type=Path, default=Path("data/ssad_banners"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of the synthetic logs, and of the networks")
    parser.add_argument("--only", choices=["corruptions", "detectors"])
    rows = [*variants(), *detectors()]
    parser.add_argument("--rows", nargs="+", choices=rows, default=rows, help="of both tables")
    parser.add_argument("--sample", type=Path, nargs=2, default=[SAMPLE / "clicks-sample.csv.gz", SAMPLE / "labels-sample.csv"])
    asked = parser.parse_args()
    asked.keep.mkdir(parents=True, exist_ok=True)
    logs, console = read_logs(asked.seeds, tuple(asked.sample)), Console(width=220)
    if asked.only != "detectors":
        compare_corruptions(logs, asked.keep, asked.seeds, [name for name in variants() if name in asked.rows], console)
    if asked.only != "corruptions":
        compare_detectors(logs, asked.keep, [name for name in detectors() if name in asked.rows], console)


if __name__ == "__main__":
    main()
