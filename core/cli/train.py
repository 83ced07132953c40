"""The verb `train`."""

from pathlib import Path
from typing import Annotated

import typer

from core import settings
from core.cli import console
from core.cli.app import app
from core.cli.console import MOST_NUMBER, MOST_SEED, JsonOption, StoreOption


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
    from core.models.training import train as training

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
