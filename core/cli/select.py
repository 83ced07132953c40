"""The verb `select`: which self-supervised detector suits a run's banners, chosen without labels."""

from typing import Annotated, Any

import typer

from core.cli import console
from core.cli.app import app
from core.cli.console import MOST_NUMBER, JsonOption, RunOption, StoreOption, existing_store
from core.errors import InputError

AssumedOption = Annotated[
    float, typer.Option("--assumed", metavar="PERCENT", help="Share of broken banners that selectors go by; never counted from labels.")
]
UseOption = Annotated[
    str | None,
    typer.Option("--use", metavar="NAME", help="A candidate, or the one that this selector takes: runs take it too from now on."),
]
StepsOption = Annotated[int | None, typer.Option("--steps", min=1, max=MOST_NUMBER, help="Steps of every training. (default: 200)")]


@app.command()
def select(
    assumed: AssumedOption = 5.0,
    use: UseOption = None,
    author: Annotated[str | None, typer.Option(help="Who says so. (default: your login)")] = None,
    steps: StepsOption = None,
    run: RunOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train thirteen small detectors on a run's banners and say, without labels, which one suits them. Kept for the Detectors page."""
    from core.jobs import running as jobs
    from core.models.selection import job as model_selection
    from core.models.selection.request import SelectionRequest
    from core.settings import login_name

    ready(use)
    with existing_store(store) as opened, console.progress_bar() as progress:
        found = jobs.run(opened, model_selection.SELECTION, SelectionRequest(run, assumed / 100, steps), progress)
        place = None if use is None else wanted(found, use)
        if place is not None:
            model_selection.use(opened, found, place, author or login_name())
    plain = to_dict(found, place)
    console.show_json(plain) if as_json else show(plain)


def ready(use: str | None) -> None:
    """Raises InputError for a name that is no candidate's and no selector's, before minutes of training."""
    from core.models.selection.request import RATIO
    from core.models.selection.selectors import SELECTORS
    from core.models.selection.variants import PATCHES, contenders

    names = [c.name for c in contenders(RATIO)]
    if use is not None and use not in (*names, *SELECTORS):
        raise InputError(
            f"Runs take a candidate or what a selector takes: --use was {use!r}. "
            f'Write for example --use dsv or --use "{PATCHES[0].name}"; there are {", ".join([*SELECTORS, *names])}.'
        )


def wanted(found: Any, use: str) -> int:
    """Place of the candidate of that name, or that the selector of that name takes."""
    for row in found.selectors:
        if row["name"] == use:
            return int(row["chosen"])
    return [row["name"] for row in found.candidates].index(use)


def to_dict(found: Any, in_use: int | None) -> dict[str, Any]:
    """A selection in plain types; `in_use`: name of the candidate that runs take by this, None where nothing was said."""
    about = {key: str(value) if key == "finished_at" else value for key, value in found.about.items() if key != "settings"}
    name = None if in_use is None else found.candidates[in_use]["name"]
    return {**about, "candidates": found.candidates, "selectors": found.selectors, "ensemble": found.ensemble, "in_use": name}


def show(plain: dict[str, Any]) -> None:
    """Both tables: who takes whom, and what is known of the candidates."""
    candidates = plain["candidates"]
    learned = f"{plain['n_train']:,} banners learned from, {plain['n_test']:,} judged, {plain['seconds']:.0f} s"
    rows = [[s["name"], candidates[s["chosen"]]["name"], _auc(candidates[s["chosen"]]["auc"]), s["says"]] for s in plain["selectors"]]
    rows.append(["ensemble", None, _auc(plain["ensemble"]), "the mean of all scores"])
    console.show_table(f"Chosen without labels: {learned}", ["selector", "takes", "ROC-AUC", "because"], rows)
    names = ["candidate", "discordance", "separability", "DSV", "ROC-AUC"]
    rows = [[c["name"], c["discordance"], c["separability"], c["dsv"], _auc(c["auc"])] for c in candidates]
    console.show_table("Candidates", names, rows)
    if candidates[0]["auc"] is None:
        console.out.print("ROC-AUC needs eight banners labelled broken and eight labelled ok.")
    else:
        counts = f"{plain['n_broken']:,} broken and {plain['n_ok']:,} ok labels"
        console.out.print(f"ROC-AUC by {counts}; --json has intervals and fault families.")
    if plain["in_use"]:
        console.out.print(f"Runs take {plain['in_use']} from now on.")


def _auc(value: list[float | None] | None) -> float | None:
    return None if value is None else value[0]
