"""Verbs about click logs: taking them in, listing ingests, taking one back."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from core import settings
from core.cli import console
from core.cli.app import app
from core.cli.console import MOST_NUMBER, JsonOption, StoreOption, existing_store
from core.errors import InputError

ingests_app = typer.Typer()
app.add_typer(ingests_app, name="ingests")
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=MOST_NUMBER, help="Newest ingests that are listed.")]


@app.command()
def ingest(
    files: Annotated[list[Path], typer.Argument(help="CSV, CSV.gz, JSONL or Parquet files, or folders of them.")],
    mapping: Annotated[
        list[str] | None, typer.Option("--map", metavar="OURS=THEIRS", help="A column under another name; repeatable.")
    ] = None,
    constants: Annotated[
        list[str] | None, typer.Option("--set", metavar="OURS=VALUE", help="A field that has one value in every row; repeatable.")
    ] = None,
    size: Annotated[str | None, typer.Option("--size", metavar="WIDTHxHEIGHT", help="Pixels of every banner, such as 300x250.")] = None,
    unit: Annotated[Literal["share", "percent"], typer.Option("--unit", help="Coordinates are 0..1 or 0..100.")] = "share",
    origin: Annotated[
        Literal["top-left", "bottom-left"], typer.Option("--origin", help="The corner where coordinates are 0.")
    ] = "top-left",
    tool: Annotated[
        Literal["auto", "plain", "posthog", "matomo", "rrweb", "openreplay", "ga4", "clarity", "umami"],
        typer.Option("--format", help="Whose export it is; auto: as its columns say, plain: of no tool."),
    ] = "auto",
    dates: Annotated[
        Literal["auto", "day-first", "month-first"],
        typer.Option("--dates", help="What 03/04/2026 is; auto: as the other dates of the log say."),
    ] = "auto",
    strict_banners: Annotated[
        bool, typer.Option("--strict-banners", help="Reject rows whose banner_id stands for another grid, product count or domain.")
    ] = False,
    saved: Annotated[
        str | None, typer.Option("--mapping", metavar="NAME", help="A mapping that was saved; other options go over it.")
    ] = None,
    save_as: Annotated[
        str | None, typer.Option("--save-mapping", metavar="NAME", help="Save how these files are read, once they are taken in.")
    ] = None,
    segment: Annotated[
        str | None,
        typer.Option("--segment", metavar="COLUMN", help="Column that splits a banner's clicks, such as a browser or a country."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="A newer version of a known file: take the earlier ingest back.")] = False,
    add: Annotated[bool, typer.Option("--add", help="Other clicks under a known name: count both.")] = False,
    rotating: Annotated[
        bool, typer.Option("--rotating", help="Names are used again: a file that has grown replaces, any other is added.")
    ] = False,
    allow_rejects: Annotated[bool, typer.Option("--allow-rejects", help="Take in logs of which more than half is rejected.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take click logs in. The same file twice changes nothing; a known file with other content needs a choice."""
    from core.clicks import mappings
    from core.clicks.ingest import Options
    from core.clicks.ingest_results import NothingIngestedError
    from core.clicks.job import INGEST, IngestRequest
    from core.clicks.known_files import KnownPath
    from core.clicks.preview import preview
    from core.jobs import running as jobs
    from core.store import Store

    choices: dict[KnownPath, bool] = {"replace": replace, "add": add, "rotating": rotating}
    given: list[KnownPath] = [name for name, is_given in choices.items() if is_given]
    if len(given) > 1:
        raise InputError(f"A known file is treated in one way; --{' and --'.join(given)} were given. Keep one of them.")
    options = Options(known=given[0] if given else "refuse", allow_rejects=allow_rejects)
    how = {"unit": unit, "origin": origin, "banners": "strict" if strict_banners else "split", "format": tool, "dates": dates}
    pairs = {**_with_segment(_pairs(mapping or []), segment), **_constants(constants or [], size), **_asked(how)}
    with Store(store or settings.store_url()) as opened, console.progress_bar() as progress:
        pairs = {**(mappings.load(opened, saved).mapping if saved else {}), **pairs}
        try:
            taken = jobs.run(opened, INGEST, IngestRequest(files, pairs, options), progress)
            if save_as:
                mappings.save(opened, save_as, preview(opened, files[0], pairs).columns, pairs, options.author)
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


def _asked(how: dict[str, str]) -> dict[str, str]:
    """How a log is read, without what is the default: a saved mapping may say otherwise."""
    from core.clicks.columns import HOW

    return {name: value for name, value in how.items() if value != HOW[name][0]}


def _constants(given: list[str], size: str | None) -> dict[str, str]:
    """Values that every row has, as a mapping holds them."""
    for pair in given:
        if not all(pair.partition("=")):
            raise InputError(f"A value for every row is written ours=value; {pair!r} is not. Write for example --set domain=shop.example.")
    found = dict(pair.split("=", 1) for pair in given)
    if size is not None:
        sides = re.fullmatch(r"(\d+(?:\.\d+)?)\s*[xX×]\s*(\d+(?:\.\d+)?)", size.strip())
        if sides is None:
            raise InputError(f"A size is WIDTHxHEIGHT in pixels; {size!r} is not. Write for example --size 300x250.")
        found |= {"banner_width": sides[1], "banner_height": sides[2]}
    return {ours: f"={value}" for ours, value in found.items()}


def _with_segment(pairs: dict[str, str], segment: str | None) -> dict[str, str]:
    if segment is not None and "device" in pairs:
        raise InputError(f"A log has one column of segments; --segment {segment} and --map device={pairs['device']} name two. Keep one.")
    return pairs if segment is None else {**pairs, "device": segment}


def _pairs(mapping: list[str]) -> dict[str, str]:
    for pair in mapping:
        if not all(pair.partition("=")):
            raise InputError(f"A mapping is written ours=theirs; {pair!r} is not. Write for example --map banner_id=creative.")
    return dict(pair.split("=", 1) for pair in mapping)


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
