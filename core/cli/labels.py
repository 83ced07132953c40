"""The verbs below `labels`: what reviewers said, from and to files, and how far they agree."""

from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli import console
from core.cli.app import app
from core.cli.console import JsonOption, StoreOption, existing_store

MAX_SHOWN = 20
"""Rows of a list that a person gets; --json has all."""

labels_app = typer.Typer(no_args_is_help=True)
app.add_typer(labels_app, name="labels")


@labels_app.callback()
def labels_main() -> None:
    """Take labels of reviewers in, write them out, and see how far the reviewers agree."""


@labels_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV, CSV.gz or Parquet with banner_id, label, reviewer, labelled_at.")],
    add_readings: Annotated[
        bool, typer.Option("--add-readings", help="Take labels in, too, that differ from those of other reviewers; both stand.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take labels in. The same file twice changes nothing."""
    from core.review.label_files import import_labels

    with existing_store(store) as opened:
        result = import_labels(opened, file, add_readings=add_readings)
    if as_json:
        console.show_json(result.to_dict())
        return
    rows = [["added", result.added], ["known before", result.known], *([f"rejected: {r}", n] for r, n in result.reasons.items())]
    console.show_table(f"{result.n_rows:,} rows of {file}", ["rows", "number"], rows)
    if result.readings:
        others = [[r.about, r.author, str(r.happened_at)[:19]] for r in result.readings[:MAX_SHOWN]]
        console.show_table(_title("Labelled otherwise by others", len(result.readings)), ["banner_id", "reviewer", "when (UTC)"], others)
    if result.rejected:
        shown = [[reject.line, reject.reason, reject.value, reject.raw] for reject in result.rejected[:MAX_SHOWN]]
        console.show_table(_title("Rejected", len(result.rejected)), ["line", "reason", "value", "row"], shown)
    if result.ignored:
        console.out.print(f"Columns that are not read: {', '.join(result.ignored)}")


@labels_app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="Ends in .csv, .csv.gz or .parquet; an existing file is replaced.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write each reviewer's newest label of each banner, and every decision of a dispute."""
    from core.review.label_files import export_labels

    with existing_store(store) as opened:
        n_rows = export_labels(opened, file)
    if as_json:
        console.show_json({"file": file, "rows": n_rows})
    else:
        console.out.print(f"{n_rows:,} rows in {file}")


@labels_app.command("agreement")
def agreement(
    blind: Annotated[bool, typer.Option("--blind", help="Only labels that are known to have been given blind.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """How far reviewers agree: Krippendorff's alpha, Cohen's kappa of each pair, who confuses what, and where they differ.

    "unsure" is a value of its own: unsure beside ok is a disagreement. Intervals are 95 %.
    """
    from core.review.agreement import agreement as compare

    with existing_store(store) as opened:
        found = compare(opened, blind_only=blind)
    if as_json:
        console.show_json(found)
        return
    alpha = found["alpha"]
    numbers = [alpha["n"], alpha["value"], alpha["low"], alpha["high"]]
    title = f"{found['n_labels']:,} labels of {found['n_banners']:,} banners; unsure is a value of its own"
    console.show_table(title, ["over", "banners seen twice", "Krippendorff's alpha", "from", "to"], [["all reviewers", *numbers]])
    for pair in found["pairs"]:
        _show_pair(pair, found["labels"])
    _show_disagreements(found["disagreements"])


def _show_pair(pair: dict[str, Any], names: list[str]) -> None:
    first, second = pair["reviewers"]
    rows = [["Cohen's kappa", *(pair["kappa"][key] for key in ("value", "low", "high"))]]
    rows.append(["same label", *(pair["same"][key] for key in ("share", "low", "high"))])
    console.show_table(f"{first} and {second}, {pair['n']:,} banners", ["what", "value", "from", "to"], rows)
    cells = [[f"{first}: {name}", *row] for name, row in zip(names, pair["confusion"], strict=True)]
    console.show_table("", ["", *(f"{second}: {name}" for name in names)], cells)


def _show_disagreements(rows: list[dict[str, Any]]) -> None:
    if not rows:
        console.out.print("No banner has two different labels.")
        return
    shown = [[row["banner_id"], ", ".join(f"{who}: {label}" for who, label in row["labels"].items())] for row in rows[:MAX_SHOWN]]
    console.show_table(_title("Different labels", len(rows)), ["banner_id", "labels"], shown)


def _title(what: str, n: int) -> str:
    return f"{what}: {n:,}" + (f"; the first {MAX_SHOWN}, --json has all" if n > MAX_SHOWN else "")
