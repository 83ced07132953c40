"""The verbs of `images`: the detectors on sets of images, without a store."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from core.cli import console
from core.cli.app import app
from core.cli.console import MOST_NUMBER, MOST_SEED, JsonOption
from core.cli.options import grouped
from core.errors import InputError

images_app = typer.Typer(no_args_is_help=True)
app.add_typer(images_app, name="images")

SetArgument = Annotated[
    Path, typer.Argument(help="An .npy file (n, h, w) or (n, h, w, 1 or 3) of uint8 or floats, or a folder of pictures.")
]
StepsOption = Annotated[
    int | None, typer.Option(min=1, max=MOST_NUMBER, help="Batches that a network learns from at most. (default: its own)")
]
SeedOption = Annotated[int, typer.Option(min=0, max=MOST_SEED, help="The same seed gives the same model.")]
FeatureOption = Annotated[str, typer.Option(help="What detectors of features read: pixels, or an extractor that `info` lists.")]
MostOption = Annotated[int, typer.Option(min=2, max=MOST_NUMBER, help="Images learned from at most, drawn by the seed.")]
TruthOption = Annotated[Path, typer.Option(help="CSV with ID,label: 0 normal, 1 anomaly.")]


@dataclass(frozen=True)
class Learning:
    """How a detector learns."""

    steps: StepsOption = None
    seed: SeedOption = 0
    feature: FeatureOption = "pixels"
    most: MostOption = 20_000


@images_app.callback()
def images_main() -> None:
    """Run the detectors on sets of images: fit, score, evaluate, leaderboard."""


@images_app.command()
@grouped
def fit(
    train: SetArgument,
    detector: Annotated[str, typer.Option(help="A detector that reads images, or features of them.")],
    out: Annotated[Path, typer.Option(help="File for the model; plain arrays, no pickle.")],
    learning: Learning,
    classes: Annotated[Path | None, typer.Option(help="CSV with ID,class, for detectors of known classes.")] = None,
    unlabelled: Annotated[Path | None, typer.Option(help="A set with some anomalies, for st_ssad. (default: the training set)")] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a detector on a set of normal images; a fit that was stopped continues from its last checkpoint."""
    from core.models.images import model, truth
    from core.models.images.methods import Training
    from core.models.images.reading import open_pictures

    pictures = open_pictures(train)
    _writable(out)
    known = truth.classes(classes, pictures.names) if classes else None
    others = open_pictures(unlabelled) if unlabelled else None
    some = others.rows(model.sample(len(others), learning.most, learning.seed)) if others else None
    with console.progress_bar() as bar:
        steps, seed, feature = learning.steps, learning.seed, learning.feature
        plan = Training(steps, seed, feature, progress=lambda done, what, /, **numbers: bar(done, what), unlabelled=some)
        plan = model.continued(plan, out)
        fitted = model.fit(detector, pictures, plan, most=learning.most, classes=known)
    model.save(fitted, out)
    if plan.checkpoint:
        plan.checkpoint.unlink(missing_ok=True)
    _show("Model", {**fitted.about, "parameters": fitted.n_parameters, "file": str(out)}, as_json)


@images_app.command()
def score(
    test: SetArgument,
    model: Annotated[Path, typer.Option(help="A file that `images fit` wrote.")],
    out: Annotated[Path, typer.Option(help="CSV for ID,score; a higher score is more anomalous.")],
    report: Annotated[Path | None, typer.Option(help="HTML page with the most anomalous images and where they are odd.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Score a set of images; a scoring that was stopped continues after its last whole batch."""
    from core.models.images import model as models
    from core.models.images import truth
    from core.models.images.reading import open_pictures
    from core.models.images.report import write_report

    pictures, fitted = open_pictures(test), models.load(model)
    for path in (out, *([report] if report else [])):
        _writable(path)
    with console.progress_bar() as bar:
        scores = models.score(fitted, pictures, bar, out.with_name(f".{out.name}.scored"))
    truth.write_submission(out, pictures.names, scores)
    if report:
        write_report(report, fitted, pictures, scores)
    _show("Scores", {"images": len(scores), "file": str(out), **({"report": str(report)} if report else {})}, as_json)


@images_app.command()
def evaluate(
    submission: Annotated[Path, typer.Argument(help="CSV with ID,score.")],
    truth: TruthOption,
    as_json: JsonOption = False,
) -> None:
    """ROC-AUC and average precision of a submission."""
    from core.models.images import truth as truths

    names, values = truths.scores(submission)
    _show("Evaluation", dict(truths.figures(values, truths.labels(truth, names))), as_json)


@images_app.command()
@grouped
def leaderboard(
    train: SetArgument,
    test: SetArgument,
    truth: TruthOption,
    detectors: Annotated[str, typer.Option(help="Names, separated by commas.")],
    learning: Learning,
    assumed: Annotated[float, typer.Option(help="Percentage of anomalies that selection without labels assumes.")] = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Fit detectors on one set, compare them on another, and say which one selectors without labels would take."""
    from core.models.images import board
    from core.models.images import truth as truths
    from core.models.images.methods import Training
    from core.models.images.reading import open_pictures

    names = list(dict.fromkeys(name.strip() for name in detectors.split(",") if name.strip()))
    share = (console.finite(assumed, "--assumed") or 0.0) / 100
    if not names or not 0 < share < 1:
        raise InputError(f"A leaderboard has detectors and an assumed percentage between 0 and 100: {detectors!r}, {assumed}. Give others.")
    learned, judged = open_pictures(train), open_pictures(test)
    labels = truths.labels(truth, judged.names)
    with console.progress_bar() as bar:
        plan = Training(learning.steps, learning.seed, learning.feature)
        rows = board.leaderboard(names, learned, judged, labels, plan, most=learning.most, show=bar)
    chosen = board.selected(rows, learned, judged, share) if len(rows) > 1 else {}
    shown = [{key: value for key, value in row.items() if key not in ("scores", "model")} for row in rows]
    if as_json:
        console.show_json({"detectors": shown, "selected": chosen})
        return
    console.show_table("Detectors, best first", list(shown[0]), [list(row.values()) for row in shown])
    if chosen:
        console.show_table("Taken without labels", ["selector", "detector"], [list(pair) for pair in chosen.items()])


def _writable(path: Path) -> None:
    """Raises InputError where a file cannot be made, before work begins."""
    if not path.parent.is_dir() or path.is_dir():
        raise InputError(f"A file is written into a folder that exists: {path} cannot be. Make {path.parent}, or name a file.")


def _show(title: str, found: dict[str, object], as_json: bool) -> None:
    if as_json:
        console.show_json(found)
    else:
        console.show_table(title, ["what", "value"], [[key, str(value)] for key, value in found.items()])
