"""Augmentation is what decides: self-supervised detectors where it is known how anomalies were made, and where it is not.

    python -m benchmarks.ssad.augmentations [--keep FOLDER] [--normals "fashion 1" …] [--learn matching published "second order"]

In order: 500 images each of three classes of Fashion-MNIST and of two grids of the synthetic demo. Anomalies: normal images that f_gen
changed, in two sizes each of five ways; images of the nine other classes; banners whose clicks were corrupted. Candidates: one network a
way f_aug and size, which never sees an anomaly. 150 normal images and 150 anomalous a task; ROC-AUC of the logit.
**Selectors** choose among the four candidates of one f_aug, by the unlabelled images and an assumed share of one half, which here is the
true one. **ST-SSAD** assumes the same. RS is the mean of fixed sizes spread over their range, RD the sizes drawn for each
batch. p-values are two-sided, over tasks, which share candidates: they are not as independent as the tests suppose.
What is trained is kept in FOLDER, so that a stopped run goes on.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata, spearmanr, ttest_rel, wilcoxon
from sklearn.metrics import roc_auc_score

from benchmarks.ssad.tasks import AREAS, N_TEST, NORMALS, PATCHES, candidate, candidates, learned, made, peer, tasks, trained
from core.models.selection.alignment import alignment, distance
from core.models.selection.candidates import matched
from core.models.selection.outcome import outcomes
from core.statistics.arrays import Vector

KEPT = Path("data/ssad")
ASSUMED = 0.5
PEERS = ("cnn_autoencoder", "deep_svdd")
ODD = np.arange(2 * N_TEST) >= N_TEST
WAYS = (*PATCHES, "rotation")
UNRANKED = ("dsv_literal", "best")
Row = dict[str, Any]


def auc(scores: Any) -> float:
    """ROC-AUC of a task's scores."""
    return float(roc_auc_score(ODD, scores))


def rows_of(name: str, keep: Path, variants: list[str]) -> list[Row]:
    """A row a task of one set of normal images: ROC-AUC and alignment by candidate, by selector and f_aug, by peer, and of ST-SSAD."""
    normal = NORMALS[name]()
    kept = {what: trained(what, normal, keep) for what in candidates()}
    peers = {who: peer(who, normal, keep) for who in PEERS}
    rows = []
    for task, X in tasks(normal).items():
        told = {what: candidate(what, found, task) for what, found in kept.items()}
        row: Row = {"normal": name, "task": task, "auc": {what: auc(c.scores) for what, c in told.items()}}
        row["dsv"] = {what: alignment(c, ASSUMED).dsv for what, c in told.items()}
        row["apart"] = {what: distance(*matched(c, ASSUMED)) for what, c in told.items()}
        row["near"] = {what: nearness(c.augmented, c.test[ODD], c.train) for what, c in told.items()}
        row["peers"] = {who: auc(scores[task]) for who, scores in peers.items()}
        own = {way: [c for what, c in told.items() if what.startswith(way)] for way in WAYS}
        found = {way: outcomes(choice, ODD, ASSUMED) for way, choice in own.items()}
        row["selected"] = {way: {o.selector: o.auc for o in each} for way, each in found.items()}
        row["taken"] = {way: {o.selector: own[way][o.chosen].name for o in each if o.chosen is not None} for way, each in found.items()}
        if task.split()[0] in PATCHES or task == "wild: other classes":
            row["learned"] = {v: learned(normal, task, X, v, keep) for v in variants}
        rows.append(row)
    return rows


def nearness(augmented: Vector, odd: Vector, train: Vector) -> float:
    """How near augmented embeddings are to the true anomalies: -log of their means' distance over that of train's and the anomalies'."""
    centres = [z.astype(np.float64).mean(axis=0) for z in (augmented, odd, train)]
    near, far = (max(float(np.linalg.norm(centres[k] - centres[1])), 1e-9) for k in (0, 2))
    return float(-np.log(near / far))


def pair_table(rows: list[Row], kind: str) -> Table:
    """Mean ROC-AUC a (f_gen, f_aug), sizes and sets averaged."""
    table = Table(title=f"{kind}: mean ROC-AUC; rows f_gen, columns f_aug, all sizes")
    for column in ("f_gen", *WAYS, *PEERS):
        table.add_column(column, justify="left" if column == "f_gen" else "right")
    chosen = [row for row in rows if row["normal"].startswith(kind)]
    for gen in list(dict.fromkeys(row["task"].rsplit(" ", 1)[0] if row["task"] in made() else row["task"] for row in chosen)):
        own = [row for row in chosen if row["task"].startswith(gen)]
        cells = [np.mean([v for row in own for what, v in row["auc"].items() if what.startswith(way)]) for way in WAYS]
        table.add_row(gen, *[f"{v:.3f}" for v in cells], *[f"{np.mean([row['peers'][p] for row in own]):.3f}" for p in PEERS])
    return table


def alignment_table(rows: list[Row]) -> Table:
    """Spearman correlation of alignment and ROC-AUC over all pairs of task and candidate, and within a task."""
    table = Table(title="Alignment against ROC-AUC, Spearman")
    for column in ("alignment", "tasks", "pairs", "over all pairs", "within a task, mean"):
        table.add_column(column, justify="left" if column == "alignment" else "right")
    names = {"dsv": "-DSV, no label", "near": "augmented near the true anomalies, by labels"}
    for what, said in names.items():
        for where in ("controlled", "wild"):
            chosen = [row for row in rows if (row["task"] in made()) == (where == "controlled")]
            sign = -1 if what == "dsv" else 1
            flat = np.array([(sign * row[what][c], row["auc"][c]) for row in chosen for c in row["auc"]])
            within = [spearmanr([sign * v for v in row[what].values()], list(row["auc"].values())).statistic for row in chosen]
            rho = spearmanr(flat[:, 0], flat[:, 1]).statistic
            table.add_row(said, where, f"{len(flat):,}", f"{rho:.2f}", f"{np.nanmean(within):.2f}")
    return table


def selector_table(rows: list[Row], where: str) -> Table:
    """Mean ROC-AUC and mean rank of every selector, over tasks and f_aug; rank 1 = best. UNRANKED stand below."""
    names = list(rows[0]["selected"][WAYS[0]])
    found = np.array([[row["selected"][way][n] for n in names] for row in rows for way in WAYS])
    ranked = [k for k, name in enumerate(names) if name not in UNRANKED]
    ranks = dict(zip(ranked, np.mean([rankdata(-line[ranked]) for line in found], axis=0), strict=True))
    table = Table(title=f"Selectors, {where}: {len(rows)} tasks x {len(WAYS)} f_aug")
    for column in ("selector", "ROC-AUC", "rank", "Wilcoxon p against dsv", *WAYS):
        table.add_column(column, justify="left" if column == "selector" else "right")
    for k in sorted(range(len(names)), key=lambda k: ranks.get(k, 99.0)):
        apart = found[:, k] - found[:, names.index("dsv")]
        p = f"{wilcoxon(apart).pvalue:.4f}" if np.abs(apart).max() > 0 else ""
        by_way = [f"{found[w :: len(WAYS), k].mean():.3f}" for w in range(len(WAYS))]
        table.add_row(names[k], f"{found[:, k].mean():.4f}", f"{ranks[k]:.2f}" if k in ranks else "", p, *by_way)
    return table


def taken_table(rows: list[Row]) -> Table:
    """How often every selector takes which size of the patch augmentations, and the one with most between train and augmented."""
    table = Table(title=f"Sizes taken, {len(rows)} x {len(PATCHES)} choices")
    sizes = [str(area) for area in AREAS] + ["RD"]
    for column in ("selector", *sizes, "farthest apart"):
        table.add_column(column, justify="left" if column == "selector" else "right")
    for name in rows[0]["taken"][PATCHES[0]]:
        taken = [row["taken"][way][name].rsplit(" ", 1)[1] for row in rows for way in PATCHES]
        far = [row["taken"][way][name] == max(_of(row["apart"], way), key=row["apart"].get) for row in rows for way in PATCHES]
        table.add_row(name, *[str(taken.count(size)) for size in sizes], str(sum(far)))
    return table


def _of(values: dict[str, float], way: str) -> list[str]:
    """Candidates of one augmentation."""
    return [what for what in values if what.startswith(way)]


def learned_table(rows: list[Row], variants: list[str]) -> Table:
    """ST-SSAD against the mean of RS and RD of CutDiff, over the tasks that it learned on."""
    table = Table(title="ST-SSAD against RS and RD on its own augmentation, CutDiff")
    for column in (
        "tasks",
        "n",
        "ST-SSAD",
        "RS",
        "RD",
        "best fixed",
        "ST - (RS + RD) / 2",
        "wins",
        "Wilcoxon p",
        "t p",
        "area learned",
        "s",
    ):
        table.add_column(column, justify="left" if column == "tasks" else "right")
    own = [row for row in rows if "learned" in row]
    kinds = {"all": own} | {f"f_gen {gen}": [r for r in own if r["task"].startswith(gen)] for gen in (*PATCHES, "wild")}
    for variant in variants:
        for kind, some in kinds.items():
            if not some:
                continue
            st = np.array([auc(r["learned"][variant]["scores"]) for r in some])
            fixed = np.array([[v for c, v in r["auc"].items() if c.startswith("cutdiff") and c != "cutdiff RD"] for r in some])
            rd, rs = np.array([r["auc"]["cutdiff RD"] for r in some]), fixed.mean(axis=1)
            more = st - (rs + rd) / 2
            p = [f"{wilcoxon(more).pvalue:.4f}", f"{ttest_rel(st, (rs + rd) / 2).pvalue:.4f}"] if len(some) > 5 else ["", ""]
            sizes = np.array([r["learned"][variant]["sizes"][0] for r in some])
            spent = np.median([r["learned"][variant]["seconds"] for r in some])
            means = [f"{v.mean():.4f}" for v in (st, rs, rd, fixed.max(axis=1))]
            cells = [f"{more.mean():+.4f}", f"{int((more > 0).sum())}", *p, f"{np.median(sizes):.3f}", f"{spent:.0f}"]
            table.add_row(f"{variant}: {kind}", str(len(some)), *means, *cells)
    return table


def main() -> None:
    """Measures what is asked for and prints the tables."""
    import torch

    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", type=Path, default=KEPT)
    parser.add_argument("--normals", nargs="+", choices=list(NORMALS), default=list(NORMALS))
    parser.add_argument("--learn", nargs="*", choices=["matching", "published", "second order"], default=["matching"])
    asked = parser.parse_args()
    asked.keep.mkdir(parents=True, exist_ok=True)
    rows = [row for name in asked.normals for row in rows_of(name, asked.keep, asked.learn)]
    console = Console(width=170)
    for kind in dict.fromkeys(name.split()[0] for name in asked.normals):
        console.print(pair_table(rows, kind))
    console.print(alignment_table(rows))
    console.print(selector_table([row for row in rows if row["task"] in made()], "controlled"))
    console.print(taken_table([row for row in rows if row["task"] in made()]))
    console.print(selector_table([row for row in rows if row["task"] not in made()], "wild"))
    if asked.learn:
        console.print(learned_table(rows, asked.learn))


if __name__ == "__main__":
    main()
