"""The verb `embed`."""

from typing import Annotated, Literal

import typer

from core.cli import console
from core.cli.app import app
from core.cli.console import JsonOption, RunOption, StoreOption, existing_store


@app.command()
def embed(
    feature: Annotated[str, typer.Option(help="heatmap, or a feature extractor that `info` lists.")] = "heatmap",
    method: Annotated[Literal["pca", "mvu"], typer.Option(help="Principal components, or maximum variance unfolding.")] = "pca",
    run: RunOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a map of a run's banners, for the Embedding and Banner pages."""
    from core.embeddings.job import MAP, about
    from core.embeddings.request import MapRequest
    from core.jobs import running as jobs

    with existing_store(store) as opened, console.progress_bar() as progress:
        made = about(opened, jobs.run(opened, MAP, MapRequest(run, feature, method), progress))
    if as_json:
        console.show_json(made)
    else:
        console.show_table(f"Map of run {made['run_id']}", ["what", "value"], [[key, str(value)] for key, value in made.items()])
