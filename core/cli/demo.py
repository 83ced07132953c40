"""A demo store: a synthetic log taken in and scored the ordinary way, with its truth beside the store."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from core import settings
from core.banners.synthetic import write_demo
from core.cli import console
from core.cli.app import app
from core.cli.console import MOST_SEED, JsonOption, StoreOption
from core.cli.runs import show_run
from core.clicks.ingest import ingest
from core.errors import InputError
from core.logs.progress import Display
from core.runs import run
from core.runs.request import RunSummary
from core.store import Store
from core.store.url import StoreUrl


@dataclass(frozen=True)
class Demo:
    """What was built. summary is None where nothing was scored."""

    store: Path
    truth: Path
    n_banners: int
    summary: RunSummary | None


def build_demo(where: Path | str, *, seed: int = 0, with_scores: bool = True, progress: Display) -> Demo:
    """Builds the store at `path`, which may not hold banners yet, and `<stem>.truth.csv` (banner_id, broken, fault) beside it.

    Everything is built under another name and renamed at the end, so a demo store is whole or absent.
    Raises InputError where the store is in use for other banners or is a shared one, StoreBusyError where another process has it.
    """
    path = StoreUrl.file_of(where, "A demo builds")
    _refuse_used(path)
    folder = path.with_name(path.stem + ".building")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        progress(0.0, "drawing synthetic clicks")
        files = write_demo(folder / "log", seed)
        part = folder / path.name
        with Store(part) as store:
            ingest(store, files.clicks, progress=lambda done: progress(0.1 + 0.3 * done, "taking the clicks in"))
            summary = run.score(store, progress=lambda done, what: progress(0.4 + 0.6 * done, what)) if with_scores else None
            n_banners = store.rows("SELECT count(*) AS n FROM banner")[0]["n"]
        truth = path.with_name(path.stem + ".truth.csv")
        shutil.move(files.truth, truth)
        part.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Demo(path, truth, n_banners, summary)


def _refuse_used(path: Path) -> None:
    if path.exists():
        with Store(path) as store:
            n_banners = store.rows("SELECT count(*) AS n FROM banner")[0]["n"]
        if n_banners:
            raise InputError(f"A demo starts from nothing: {path} holds {n_banners:,} banners. Name another file with --store.")


@app.command()
def demo(
    store: StoreOption = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Another seed, another log.")] = 0,
    no_score: Annotated[bool, typer.Option("--no-score", help="Only take the log in.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Build a store from a synthetic log: five old grids, and 333519 and 333346 with 74 of 2061 and 86 of 969 broken."""

    with console.progress_bar() as progress:
        built = build_demo(store or settings.store_url(), seed=seed, with_scores=not no_score, progress=progress)
    if as_json:
        summary = built.summary.to_dict() if built.summary else None
        console.show_json({"store": built.store, "truth": built.truth, "banners": built.n_banners, "run": summary})
        return
    console.out.print(f"{built.store} holds {built.n_banners:,} banners; what is broken stands in {built.truth}.")
    if built.summary:
        show_run(built.summary)
