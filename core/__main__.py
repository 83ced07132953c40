"""The command line: `python -m core VERB`. Results on stdout, progress and messages on stderr, exit 0, 1 (bug) or 2 (user)."""

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from core import console, logs, settings
from core.audit_verbs import audit
from core.calibrate_verbs import calibrate, versions_app
from core.console import MOST_NUMBER, MOST_SEED, JsonOption, RunOption, StoreOption, existing_store, finite, grid_ids
from core.ingest_verbs import ingest, ingests_app
from core.label_verbs import labels_app
from core.selection_verbs import select
from core.store_verbs import prune, restore, store_app
from core.verbs import Verbs

app = typer.Typer(cls=Verbs, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
export_app = typer.Typer(no_args_is_help=True)
app.add_typer(export_app, name="export")
app.add_typer(labels_app, name="labels")
app.add_typer(versions_app, name="versions")
app.add_typer(store_app, name="store")
app.add_typer(ingests_app, name="ingests")
for verb in (ingest, prune, restore, calibrate, audit, select):
    app.command()(verb)


@app.callback()
def main(
    ctx: typer.Context,
    store: Annotated[str | None, typer.Option("--store", help="The DuckDB file or URL; may also stand after the verb.")] = None,
) -> None:
    """Heatproof finds and explains broken ad banners from where people click on them."""
    logs.mask_everything()
    logs.configure(None)  # what a verb prints is enough, unless a log was asked for
    if store is not None:
        before = os.environ.get("HEATPROOF_STORE", "")
        os.environ["HEATPROOF_STORE"] = store
        ctx.call_on_close(lambda: os.environ.update(HEATPROOF_STORE=before))


@export_app.callback()
def export_main() -> None:
    """Write what a run found as a file for others."""


@app.command()
def demo(
    store: StoreOption = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Another seed, another log.")] = 0,
    no_score: Annotated[bool, typer.Option("--no-score", help="Only take the log in.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Build a store from a synthetic log: five old grids, and 333519 and 333346 with 74 of 2061 and 86 of 969 broken."""
    from core.demo import build_demo

    with console.progress_bar() as progress:
        built = build_demo(store or settings.store_url(), seed=seed, with_scores=not no_score, progress=progress)
    if as_json:
        summary = built.summary.to_dict() if built.summary else None
        console.show_json({"store": built.store, "truth": built.truth, "banners": built.n_banners, "run": summary})
        return
    console.out.print(f"{built.store} holds {built.n_banners:,} banners; what is broken stands in {built.truth}.")
    if built.summary:
        _show_run(built.summary)


@app.command()
def score(
    detectors: Annotated[str | None, typer.Option(help="Names, parted by commas. (default: the default run's)")] = None,
    grid: Annotated[
        list[str] | None, typer.Option(metavar="GRID_ID", help="A grid_id, or several parted by commas; repeatable. (default: all)")
    ] = None,
    first_day: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="First day. (default: the log's)")
    ] = None,
    last_day: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Last day. (default: the log's)")
    ] = None,
    deep: Annotated[
        Literal["all", "candidates", "none"],
        typer.Option(help="Banners that slow detectors look at: all, those who could still be flagged and a control sample, or none."),
    ] = "candidates",
    cascade: Annotated[bool, typer.Option("--cascade", help="In tiers: statistics clear most banners; for many.")] = False,
    budget: Annotated[float | None, typer.Option(help="With --cascade: percent for all detectors. (default: as needed)")] = None,
    budget_seconds: Annotated[float | None, typer.Option(help="With --cascade: processor seconds for that, about.")] = None,
    engine: Annotated[Literal["local", "ray"], typer.Option(help="Processes of this machine, or Ray.")] = "local",
    ray_address: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="A Ray cluster. (default: Ray on this machine)")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score every banner in one run, and say how many are flagged on each grid."""
    from core import run

    names = None if detectors is None else [name.strip() for name in detectors.split(",") if name.strip()]
    with existing_store(store) as opened, console.progress_bar() as progress:
        summary = run.score(
            opened,
            detectors=names,
            grids=grid_ids(grid),
            first_day=first_day.date() if first_day else None,
            last_day=last_day.date() if last_day else None,
            deep=deep,
            cascade=cascade,
            budget=None if (percent := finite(budget, "--budget")) is None else percent / 100,
            budget_s=finite(budget_seconds, "--budget-seconds"),
            engine=engine,
            ray_address=ray_address,
            progress=progress,
        )
    if as_json:
        console.show_json(summary.to_dict())
    else:
        _show_run(summary)


@app.command()
def embed(
    feature: Annotated[str, typer.Option(help="heatmap, or a feature extractor that `info` lists.")] = "heatmap",
    method: Annotated[Literal["pca", "mvu"], typer.Option(help="Principal components, or maximum variance unfolding.")] = "pca",
    run: RunOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a map of a run's banners, for the Embedding and Banner pages."""
    from core.embed import about
    from core.embed import make as make_map

    with existing_store(store) as opened, console.progress_bar() as progress:
        made = about(opened, make_map(opened, feature, method, run, progress))
    if as_json:
        console.show_json(made)
    else:
        console.show_table(f"Map of run {made['run_id']}", ["what", "value"], [[key, str(value)] for key, value in made.items()])


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="The network: cluster_count, cluster_location, simclr, ssad_clicks or vit_small.")],
    synthetic: Annotated[bool, typer.Option("--synthetic", help="On synthetic grids, as the shipped weights were.")] = False,
    steps: Annotated[int | None, typer.Option(min=1, max=MOST_NUMBER, help="Batches. (default: as the shipped weights)")] = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Another seed, other batches.")] = 0,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the weights go. (default: beside the store)")] = None,
    backbone: Annotated[
        str | None,
        typer.Option(metavar="CHECKPOINT", help="cluster_* only: a ResNet to fine-tune, e.g. microsoft/resnet-50 or a folder."),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a network of ours; runs of that store then use it. Stopped, it goes on where it was.

    ssad_clicks, simclr and vit_small learn from the store's own banners, cluster_count and cluster_location from images that they draw.
    """
    from core import train as training

    with console.progress_bar() as progress:
        done = training.train(
            name,
            store or settings.store_url(),
            synthetic=synthetic,
            steps=steps,
            seed=seed,
            out=out,
            progress=progress,
            backbone=backbone,
        )
    if as_json:
        console.show_json({"weights": done.path, **done.about})
    else:
        console.out.print(f"{done.path} is trained: {done.about}")


@app.command()
def evaluate(
    truth: Annotated[Path, typer.Option(help="CSV or Parquet with banner_id, broken (1 or 0) and optionally fault.")],
    run: RunOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a run with the truth: ROC-AUC and average precision of the scores, precision, recall and F1 of the flags."""
    from core.evaluate import evaluate as compare

    with existing_store(store) as opened:
        found = compare(opened, truth, run)
    if as_json:
        console.show_json(found)
        return
    _show_metrics(f"All {found['n_matched']:,} banners of the truth that run {found['run_id']} scored", found["overall"])
    for grid_id, metrics in found["by_grid"].items():
        _show_metrics(f"Grid {grid_id}", metrics)
    if found["fault_accuracy"] is not None:
        console.out.print(f"The diagnosis names the right fault in {found['fault_accuracy']:.1%} of the broken banners.")


@export_app.command("scores")
def export_scores(
    file: Annotated[Path, typer.Argument(help="Ends in .csv, .csv.gz or .parquet; an existing file is replaced.")],
    run: RunOption = None,
    format: Annotated[
        Literal["wide", "long", "submission"], typer.Option(help="A column a detector, a row a detector, or ID,score.")
    ] = "wide",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a run's scores as CSV or Parquet."""
    from core.export import export_scores as write

    with existing_store(store) as opened:
        n_rows = write(opened, file, run_id=run, format=format)
    if as_json:
        console.show_json({"file": file, "rows": n_rows, "format": format})
    else:
        console.out.print(f"{n_rows:,} rows in {file}")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The copy; may not exist yet.")], store: StoreOption = None, as_json: JsonOption = False
) -> None:
    """Write a consistent copy of the store, and prove it by reading it whole."""
    from core.backup import backup as copy_into

    with existing_store(store) as opened:
        n_bytes = copy_into(opened, file)
    if as_json:
        console.show_json({"file": file, "bytes": n_bytes})
    else:
        console.out.print(f"{file} holds a copy, {n_bytes / 1e6:,.1f} MB")


@app.command()
def info(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Versions, detectors, weights in use, the latest runs, row counts."""
    from core.info import collect

    found = collect(store or settings.store_url())
    if as_json:
        console.show_json(found)
        return
    console.show_table("Versions", ["what", "version"], [[k, v] for k, v in found["versions"].items()])
    console.show_table("Detectors", ["name", "family", "reads", "in the default run"], [list(d.values()) for d in found["detectors"]])
    rows = [[e["name"], e["n_dims"], e["run_by"], e["weights"] or e["why_not"]] for e in found["extractors"]]
    console.show_table("Feature extractors", ["name", "features", "run by", "weights, or why it cannot run here"], rows)
    console.show_table("Weights in use", ["detector", "weights"], [list(w.values()) for w in found["weights"]])
    console.show_table("Latest runs", ["run", "state", "at", "banners", "flagged"], [list(r.values()) for r in found["runs"]])
    console.show_table(f"{found['store']}, {found['bytes'] / 1e6:,.1f} MB", ["table", "rows"], [[k, v] for k, v in found["rows"].items()])


def _show_run(summary: Any) -> None:
    rows = [[str(g.grid_id), g.n_banners, g.n_flagged, f"{g.n_flagged / g.n_banners:.1%}"] for g in summary.by_grid]
    rows.append(["all", summary.n_banners, summary.n_flagged, f"{summary.n_flagged / summary.n_banners:.1%}"])
    days = f"{summary.first_day} to {summary.last_day}"
    console.show_table(f"Run {summary.run_id}, {days}, {summary.seconds:.0f} s", ["grid_id", "banners", "flagged", "share"], rows)
    expected = f"About {summary.n_false_expected:.0f} of the {summary.n_flagged:,} flagged are expected to be false alarms"
    console.out.print(f"{expected} ({f'version v{summary.version}' if summary.version else f'nominal rate {summary.fdr:.0%}'}).")
    if summary.note:
        console.err.print(summary.note)


def _show_metrics(title: str, metrics: dict[str, dict[str, Any]]) -> None:
    names = {"roc_auc": "ROC-AUC", "average_precision": "AP", "precision": "precision", "recall": "recall", "f1": "F1"}
    keys = [*names, "n", "broken"]
    rows = [[detector, *(found[key] for key in keys)] for detector, found in metrics.items()]
    console.show_table(title, ["detector", *names.values(), "n", "broken"], rows)


if __name__ == "__main__":
    app(prog_name="python -m core")
