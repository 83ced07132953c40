"""Verbs about click logs: taking them in, listing ingests, taking one back."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from core import settings
from core.cli import console
from core.cli.app import app
from core.cli.click_options import Known, Reading
from core.cli.console import MOST_NUMBER, JsonOption, StoreOption, existing_store
from core.cli.options import grouped

ingests_app = typer.Typer()
app.add_typer(ingests_app, name="ingests")
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=MOST_NUMBER, help="Newest ingests that are listed.")]


@app.command()
@grouped
def ingest(
    files: Annotated[list[Path], typer.Argument(help="CSV, CSV.gz, JSONL or Parquet files, or folders of them.")],
    reading: Reading,
    known: Known,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take click logs in. The same file twice changes nothing; a known file with other content needs a choice."""
    from core.clicks import mappings
    from core.clicks.ingest_results import NothingIngestedError
    from core.clicks.job import INGEST, IngestRequest
    from core.clicks.preview import preview
    from core.jobs import running as jobs
    from core.store import Store

    options, pairs = known.options(), reading.pairs()
    with Store(store or settings.store_url()) as opened, console.progress_bar() as progress:
        pairs = {**(mappings.load(opened, reading.saved).mapping if reading.saved else {}), **pairs}
        try:
            taken = jobs.run(opened, INGEST, IngestRequest(files, pairs, options), progress)
            if reading.save_as:
                mappings.save(opened, reading.save_as, preview(opened, files[0], pairs).columns, pairs, options.author)
        except NothingIngestedError as error:
            if not as_json:
                raise
            console.err.print(f"Error: {error}")
            console.show_json({"error": str(error), **error.result.to_dict()})
            raise typer.Exit(2) from error
    if as_json:
        console.show_json(taken.to_dict())
    else:
        _show(taken)


def _show(taken: Any) -> None:
    from core.clicks.ingest_results import failed_lines

    rows = [["accepted", taken.accepted], *([f"rejected: {reason}", n] for reason, n in taken.rejected.items())]
    console.show_table("Already in the store, nothing changed" if taken.already_ingested else "Taken in", ["rows", "number"], rows)
    for file in taken.files:
        for note in file.notes:
            console.err.print(f"{file.file}: {note}")
        if file.replaced:
            console.out.print(f"{file.file} replaced ingest {', '.join(file.replaced)}.")
        if file.cause:
            console.err.print(
                f"{file.file} has {sum(file.rejected.values()):,} of {file.n_rows:,} rows rejected. Likeliest cause: {file.cause}"
            )
    if taken.failed:
        n_files = len(taken.failed) + len(taken.files)
        console.err.print(f"{len(taken.failed)} of {n_files} files were not taken in:\n{failed_lines(taken.failed)}")


@ingests_app.callback(invoke_without_command=True)
def ingests_main(ctx: typer.Context, store: StoreOption = None, limit: LimitOption = 50, as_json: JsonOption = False) -> None:
    """List ingests, newest first; take one back."""
    if ctx.invoked_subcommand is None:
        list_(store, limit, as_json)
    elif store is not None:
        before = os.environ.get("HEATPROOF_STORE", "")
        os.environ["HEATPROOF_STORE"] = store
        ctx.call_on_close(lambda: os.environ.update(HEATPROOF_STORE=before))


@ingests_app.command("list")
def list_(store: StoreOption = None, limit: LimitOption = 50, as_json: JsonOption = False) -> None:
    """Ingests, newest first: file, when, by whom, rows, clicks, and whether it was taken back."""
    from core.clicks import undo

    with existing_store(store) as opened:
        found = undo.ingests(opened, limit)
    if as_json:
        console.show_json({"ingests": found})
        return
    rows = [
        [row["ingest_id"], row["file"], f"{row['finished_at']:%Y-%m-%d %H:%M}", row["author"], row["n_rows"], row["n_clicks"], _state(row)]
        for row in found
    ]
    console.show_table("Ingests, times in UTC", ["ingest", "file", "when", "by", "rows", "clicks", "state"], rows)


def _state(row: dict[str, Any]) -> str:
    if row["undone_at"] is None:
        return str(row["state"])
    return f"{row['state']} {row['undone_at']:%Y-%m-%d %H:%M} by {row['undone_by']}: {row['undone_reason']}"


@ingests_app.command("undo")
def undo_ingest(
    ingest_id: Annotated[str, typer.Argument(metavar="ID", help="The ingest's id, or its beginning; `ingests` lists them.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the event.")] = "",
    author: Annotated[str | None, typer.Option(help="Who does it. (default: your login name)")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an ingest back: what it added goes, its account stays. Runs and labels are not changed."""
    from core.clicks import undo

    with existing_store(store) as opened:
        done = undo.undo(opened, ingest_id, author or settings.login_name(), reason)
    if as_json:
        console.show_json(done.to_dict())
        return
    rows = [["clicks", done.n_clicks], ["banner days", done.n_banner_days], ["banners without clicks now", done.banners_gone]]
    console.show_table(f"Ingest {done.ingest_id} ({done.file}) was taken back", ["what went", "number"], rows)
    if done.n_labels:
        console.out.print(f"{done.n_labels:,} labels on banners without clicks are kept.")
    if done.elsewhere:
        console.err.print(done.elsewhere_words)
