"""The verbs `calibrate` and `versions`: a threshold learned from labels, before and after, and the history of active versions."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import typer

from core.cli import console
from core.cli.app import app
from core.cli.console import MOST_NUMBER, MOST_SEED, JsonOption, RunOption, StoreOption, existing_store
from core.cli.options import grouped

GridsOption = Annotated[list[str] | None, typer.Option(metavar="GRID_ID", help="Grids, separated by commas; repeatable. (default: all)")]
ActiveOption = Annotated[
    int | None,
    typer.Option("--instead-of", min=0, metavar="NUMBER", help="Only while this version is active; 0 is the threshold without labels."),
]
AuthorOption = Annotated[str | None, typer.Option(help="Your name. (default: your login)")]
REASON = "Why, in a few words; a version carries it for ever."

versions_app = typer.Typer(no_args_is_help=True)
app.add_typer(versions_app, name="versions")


@versions_app.callback()
def versions_main() -> None:
    """Threshold versions: what came into force when, and going back."""


@dataclass(frozen=True)
class Learning:
    """What a threshold is learned from and for, and how it is chosen."""

    shots: Annotated[int, typer.Option(min=0, max=MOST_NUMBER, help="Labelled banners used of each target grid; 1 is one ok banner.")] = 0
    source_grids: GridsOption = None
    target_grids: GridsOption = None
    scope: Annotated[str, typer.Option(help="combined, or the one detector to judge by.")] = "combined"
    method: Annotated[
        Literal["f1", "cost", "youden", "precision", "fpr", "fdr", "budget", "manual"],
        typer.Option(help="f1; cost (of a miss in false alarms); youden; precision, fpr, fdr and manual (0..1); budget (banners)."),
    ] = "f1"
    value: Annotated[float | None, typer.Option(help="What the method asks for. (default: 10, .9, .01, .1, 100, .5)")] = None
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Another seed, other shots.")] = 0


@dataclass(frozen=True)
class Publishing:
    """Whether the threshold becomes a version, by whom and why."""

    publish: Annotated[bool, typer.Option("--publish", help="Make it the active version.")] = False
    reason: Annotated[str, typer.Option(help=REASON)] = ""
    author: AuthorOption = None
    instead_of: ActiveOption = None


@app.command()
@grouped
def calibrate(learning: Learning, into: Publishing, run: RunOption = None, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Learn a threshold from the labels of source grids for target grids, and show what it changes; --publish makes it the active
    version."""
    from core.calibration import publish as calibrating
    from core.settings import login_name

    value = console.finite(learning.value, "--value")
    with existing_store(store) as opened:
        chosen = [console.grid_ids(given, opened) for given in (learning.source_grids, learning.target_grids)]
        sources, targets = (None if grids is None else tuple(grids) for grids in chosen)
        request = calibrating.Request(learning.scope, sources, targets, learning.shots, learning.method, value, learning.seed)
        seen = calibrating.prepare(opened, request, run)
        if into.instead_of is not None:
            seen = replace(seen, active=into.instead_of)
        number = calibrating.publish(opened, seen, into.author or login_name(), into.reason) if into.publish else None
    found = _found(seen, number)
    console.show_json(found) if as_json else _show(found)


def _found(seen: Any, number: int | None) -> dict[str, Any]:
    """All that was found, in plain types."""
    import numpy as np  # here, so that other verbs start without it

    c = seen.calibration
    added, dropped = seen.flips()

    def plain(expected: Any) -> dict[str, Any]:
        return {key: part._asdict() if hasattr(part, "_asdict") else part for key, part in expected._asdict().items()}

    measured = {name: {**m._asdict(), "f1": m.f1} for name, m in seen.measured().items()}
    return {
        "version": number,
        "run_id": seen.scored.run_id,
        "request": seen.request,
        "n_labels": int((~np.isin(c.source.rows, c.shots.rows)).sum()),
        "n_shots": len(c.shots.rows),
        "cut": c.rule.cut if np.isfinite(c.rule.cut) else None,
        "note": seen.why_none(),
        "expected": {"before": plain(c.worlds.of_before()), "after": plain(c.expected)},
        "measured": measured,
        "by_grid": seen.by_grid(),
        "added": added,
        "dropped": dropped,
    }


def _show(found: dict[str, Any]) -> None:
    request = found["request"]
    parts = [f"{found[key]:,} {word}" for key, word in (("n_labels", "labels"), ("n_shots", "shots")) if found[key]]
    learned = " and ".join(parts)
    cut = "which flags no banner" if found["cut"] is None else f"at a chance of {found['cut']:.3f}"
    title = f"{request.shots}-shot from {learned}, threshold by {request.method} {cut}"
    names = ["grid_id", "n", "before", "after", "added", "dropped"]
    rows = [[str(row["grid_id"]), *(row[key] for key in names[1:])] for row in found["by_grid"]]
    rows.append(["all", *(sum(row[key] for row in found["by_grid"]) for key in names[1:])])
    console.show_table(title, ["grid_id", "banners", "flagged before", "after", "added", "dropped"], rows)
    rows = [
        [f"{when}: {what}", *found["expected"][when][what].values()]
        for what in ("precision", "recall", "f1")
        for when in ("before", "after")
    ]
    rows += [["banners that are broken", *(round(n) for n in found["expected"]["after"]["n_broken"].values())]]
    console.show_table("Expected, with 95 % intervals", ["what", "value", "from", "to"], rows)
    if found["measured"]["after"]["n"]:
        rows = [[when, *(m[key] for key in ("n", "hits", "false", "missed", "f1"))] for when, m in found["measured"].items()]
        console.show_table(
            "Measured on labels of the target grids that nothing was learned from",
            ["flags", "labels", "hits", "false alarms", "misses", "F1"],
            rows,
        )
    if found["note"]:
        console.out.print(found["note"])
    if found["version"]:
        console.out.print(f"Published as v{found['version']}; the run is shown by it from now on.")
    else:
        console.out.print("Nothing was changed. --publish --reason TEXT puts it into force.")


@versions_app.command("list")
def list_(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Every version, and what came into force when."""
    from core.calibration import versions

    with existing_store(store) as opened:
        made, events = versions.versions(opened), versions.history(opened)
    if as_json:
        console.show_json({"versions": made, "history": events})
        return
    rows = [[f"v{v['number']}", v["scope"], v["shots"], v["method"], v["n_labels"], v["author"], v["reason"]] for v in made]
    console.show_table("Versions", ["version", "scope", "shots", "threshold by", "labels", "author", "reason"], rows)
    rows = [[str(e["happened_at"])[:19], e["op"], f"v{e['number'] or 0}", e["author"], e["reason"]] for e in events]
    console.show_table("Active since (UTC); v0 is the threshold without labels", ["when", "by", "version", "author", "reason"], rows)


@versions_app.command("rollback")
def rollback(
    number: Annotated[
        int, typer.Argument(min=0, max=MOST_NUMBER, metavar="NUMBER", help="The version to go back to; 0 is the threshold without labels.")
    ],
    reason: Annotated[str, typer.Option(help=REASON)] = "",
    author: AuthorOption = None,
    instead_of: ActiveOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an earlier version active again, with its flags as they were."""
    from core.calibration.publish import roll_back
    from core.settings import login_name

    with existing_store(store) as opened:
        roll_back(opened, number, author or login_name(), reason, active=instead_of)
    if as_json:
        console.show_json({"version": number})
    else:
        console.out.print(f"v{number} is active again.")
