"""Verbs about a store as a whole: copying it to another engine, letting old days go, putting a backup in its place."""

from pathlib import Path
from typing import Annotated

import typer

from core import settings
from core.cli import console
from core.cli.app import app
from core.cli.console import MOST_NUMBER, JsonOption, StoreOption, existing_store

store_app = typer.Typer(no_args_is_help=True)
app.add_typer(store_app, name="store")


@store_app.callback()
def store_main() -> None:
    """Move a store."""


@store_app.command("copy")
def copy_store(
    source: Annotated[str, typer.Argument(metavar="FROM", help="A DuckDB file, or a shared store's URL.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="A new one, of any engine.")],
    as_json: JsonOption = False,
) -> None:
    """Copy everything into a new store, of any engine, and prove by counts and sums that nothing is missing."""
    from core.store.copy import copy

    with existing_store(source) as opened, console.progress_bar() as progress:
        tables = copy(opened, target, progress)
        shown = opened.url.shown
    if as_json:
        console.show_json({"from": shown, "tables": {table.name: {"rows": table.n_rows, "sums": table.sums} for table in tables}})
        return
    rows = [[table.name, table.n_rows, len(table.sums)] for table in tables]
    console.show_table("Copied: rows and the sums of all columns are the same", ["table", "rows", "columns"], rows)


@app.command()
def prune(
    keep_days: Annotated[
        int,
        typer.Option(
            min=1, max=MOST_NUMBER, metavar="N", help="Days of clicks to keep, counted back from the newest that is not in the future."
        ),
    ],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete bins of old days, and compact the store. What runs found in them stays, with its evidence."""
    from core.store.days import future_words
    from core.store.prune import prune as let_go

    with existing_store(store) as opened:
        done = let_go(opened, keep_days)
    if as_json:
        console.show_json(done.to_dict())
        return
    rows = [[name, n] for name, n in done.rows.items()]
    sizes = f"{done.bytes_before / 1e6:,.1f} MB before, {done.bytes_after / 1e6:,.1f} MB now"
    kept = f"Clicks are kept from {done.first_kept} on" if done.first_kept else "No day was counted from, nothing went"
    console.show_table(f"{kept}; {sizes}", ["table", "rows that went"], rows)
    if done.future_days:
        console.err.print(future_words(done.future_days))


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A copy that `backup` wrote.")], store: StoreOption = None, as_json: JsonOption = False
) -> None:
    """Put a copy in the store's place, once it is proved; what was there, readable or not, stays beside it as *.before-restore-TIME."""
    from core.store.backup import restore as put_back

    path = store or settings.store_url()
    aside = put_back(file, path)
    if as_json:
        console.show_json({"store": path, "from": file, "aside": aside})
        return
    console.out.print(f"{path} is now the copy {file}")
    if aside is not None:
        console.out.print(f"What was there is kept as {aside}, with its write-ahead log where it had one.")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The copy; may not exist yet.")], store: StoreOption = None, as_json: JsonOption = False
) -> None:
    """Write a consistent copy of the store, and prove it by reading it whole."""
    from core.store.backup import backup as copy_into

    with existing_store(store) as opened:
        n_bytes = copy_into(opened, file)
    if as_json:
        console.show_json({"file": file, "bytes": n_bytes})
    else:
        console.out.print(f"{file} holds a copy, {n_bytes / 1e6:,.1f} MB")


@app.command()
def info(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Versions, detectors, weights in use, the latest runs, row counts."""
    from core.cli.info import collect

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
