"""The verb `train`."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core import settings
from core.cli import console
from core.cli.app import app
from core.cli.console import MOST_NUMBER, MOST_SEED, JsonOption, StoreOption
from core.logs.progress import Display

if TYPE_CHECKING:
    from core.models.training.request import TrainRequest
    from core.store.url import StoreUrl


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
    from core.jobs import running as jobs
    from core.models.training.job import TRAINING
    from core.models.training.request import TrainRequest
    from core.store import Store
    from core.store.url import StoreUrl

    url = StoreUrl.parse(store or settings.store_url())
    request = TrainRequest(name, synthetic, steps, seed, backbone, out=None if out is None else str(out.resolve()))
    with console.progress_bar() as progress:
        if url.exists():
            with Store(url, create=False) as opened:
                done = jobs.run(opened, TRAINING, request, progress)
            path, about = done.path, done.about
        else:
            path, about = without_store(request, url, progress)
    if as_json:
        console.show_json({"weights": path, **about})
    else:
        console.out.print(f"{path} is trained: {about}")


def without_store(request: "TrainRequest", url: "StoreUrl", progress: Display) -> tuple[Path, dict[str, Any]]:
    """Trains in this process what needs no store: no other process shares its checkpoint."""
    from core.features.networks.weight_files import weights_folder
    from core.models.training.train import train as train_network

    out = request.out or str(weights_folder(url.home.resolve()))
    return train_network(replace(request, out=out), lambda done, what, /, **numbers: progress(done, what))
