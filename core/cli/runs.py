"""The verbs `score`, `evaluate` and `export scores`."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from core.cli import console
from core.cli.app import app, export_app
from core.cli.console import JsonOption, RunOption, StoreOption, existing_store, finite, grid_ids
from core.cli.options import grouped


@dataclass(frozen=True)
class Which:
    """Which banners a run scores, and by which detectors."""

    detectors: Annotated[str | None, typer.Option(help="Names, separated by commas. (default: the default run's)")] = None
    grid: Annotated[
        list[str] | None, typer.Option(metavar="GRID_ID", help="A grid_id, or several separated by commas; repeatable. (default: all)")
    ] = None
    first_day: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="First day. (default: the log's)")
    ] = None
    last_day: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Last day. (default: the log's)")
    ] = None
    deep: Annotated[
        Literal["all", "candidates", "none"],
        typer.Option(help="Banners that slow detectors look at: all, those who could still be flagged and a control sample, or none."),
    ] = "candidates"


@dataclass(frozen=True)
class Work:
    """How a run does it."""

    cascade: Annotated[bool, typer.Option("--cascade", help="In tiers: statistics clear most banners; for many.")] = False
    budget: Annotated[float | None, typer.Option(help="With --cascade: percent for all detectors. (default: as needed)")] = None
    budget_seconds: Annotated[float | None, typer.Option(help="With --cascade: processor seconds for that, about.")] = None
    engine: Annotated[Literal["local", "ray"], typer.Option(help="Processes of this machine, or Ray.")] = "local"
    ray_address: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="A Ray cluster. (default: Ray on this machine)")] = None


@app.command()
@grouped
def score(which: Which, work: Work, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Score every banner in one run, and say how many are flagged on each grid."""
    from core.jobs import running as jobs
    from core.runs.request import Request
    from core.runs.run import RUN

    with existing_store(store) as opened, console.progress_bar() as progress:
        request = Request(
            detectors=None if which.detectors is None else [name.strip() for name in which.detectors.split(",") if name.strip()],
            grids=grid_ids(which.grid, opened),
            first_day=which.first_day.date() if which.first_day else None,
            last_day=which.last_day.date() if which.last_day else None,
            deep=which.deep,
            cascade=work.cascade,
            budget=None if (percent := finite(work.budget, "--budget")) is None else percent / 100,
            budget_s=finite(work.budget_seconds, "--budget-seconds"),
            engine=work.engine,
            ray_address=work.ray_address,
        )
        summary = jobs.run(opened, RUN, request, progress)
    if as_json:
        console.show_json(summary.to_dict())
    else:
        show_run(summary)


@app.command()
def evaluate(
    truth: Annotated[Path, typer.Option(help="CSV or Parquet with banner_id, broken (1 or 0) and optionally fault.")],
    run: RunOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a run with the truth: ROC-AUC and average precision of the scores, precision, recall and F1 of the flags."""
    from core.runs.evaluate import evaluate as compare

    with existing_store(store) as opened:
        found = compare(opened, truth, run)
    if as_json:
        console.show_json(found)
        return
    _show_metrics(f"All {found['n_matched']:,} banners of the truth that run {found['run_id']} scored", found["overall"])
    for grid_id, metrics in found["by_grid"].items():
        _show_metrics(f"Grid {grid_id}", metrics)
    if found["fault_accuracy"] is not None:
        console.out.print(f"The diagnosis names the right fault in {100 * found['fault_accuracy']:.1f} % of the broken banners.")


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
    from core.runs.export import export_scores as write

    with existing_store(store) as opened:
        n_rows = write(opened, file, run_id=run, format=format)
    if as_json:
        console.show_json({"file": file, "rows": n_rows, "format": format})
    else:
        console.out.print(f"{n_rows:,} rows in {file}")


def show_run(summary: Any) -> None:
    rows = [[g.name or str(g.grid_id), g.n_banners, g.n_flagged, f"{100 * g.n_flagged / g.n_banners:.1f} %"] for g in summary.by_grid]
    rows.append(["all", summary.n_banners, summary.n_flagged, f"{100 * summary.n_flagged / summary.n_banners:.1f} %"])
    days = f"{summary.first_day} to {summary.last_day}"
    console.show_table(f"Run {summary.run_id}, {days}, {summary.seconds:.0f} s", ["grid_id", "banners", "flagged", "share"], rows)
    expected = f"About {summary.n_false_expected:.0f} of the {summary.n_flagged:,} flagged are expected to be false alarms"
    console.out.print(f"{expected} ({f'version v{summary.version}' if summary.version else f'nominal rate {100 * summary.fdr:.0f} %'}).")
    if summary.note:
        console.err.print(summary.note)


def _show_metrics(title: str, metrics: dict[str, dict[str, Any]]) -> None:
    names = {"roc_auc": "ROC-AUC", "average_precision": "AP", "precision": "precision", "recall": "recall", "f1": "F1"}
    keys = [*names, "n", "broken"]
    rows = [[detector, *(found[key] for key in keys)] for detector, found in metrics.items()]
    console.show_table(title, ["detector", *names.values(), "n", "broken"], rows)
