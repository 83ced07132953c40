"""Sets of images: what is read and refused, every detector that reads them, models as plain arrays, submissions, the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from core.__main__ import app
from core.detectors import CATALOGUE
from core.errors import InputError
from core.features import EXTRACTORS
from core.models.images import model as models
from core.models.images.methods import NAMES, Training, feature_of, prepared
from core.models.images.reading import open_pictures
from core.models.images.report import write_report

HERE = [n for n in NAMES if not n.startswith("cosine_") or EXTRACTORS[n.removeprefix("cosine_")].bundled]


def blobs(n: int, side: int = 16, channels: int = 1, seed: int = 0, odd: int = 0) -> Any:
    """uint8 (n, side, side, channels): a soft blob in the middle; the last `odd` have a bright square in a corner."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    at = 0.5 + rng.normal(0, 0.03, (n, 2))
    blob = np.exp(-((x - at[:, :1, None]) ** 2 + (y - at[:, 1:, None]) ** 2) / 0.05)[..., None]
    found = np.clip(0.7 * blob + rng.normal(0.1, 0.03, (n, side, side, channels)), 0, 1)
    if odd:
        found[-odd:, : side // 3, : side // 3] = 1
    return (255 * found).astype(np.uint8)


def stored(path: Path, array: Any) -> Path:
    np.save(path, array)
    return path


def run(*args: object) -> Any:
    return CliRunner().invoke(app, ["images", *map(str, args)])


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.full((3, 16, 16), np.nan), "NaN"),
        (np.full((3, 16, 16), 7.5), "0..1"),
        (np.full((3, 16, 16), -3.0), "0..1"),
        (np.zeros((3, 16, 16), dtype=np.int64), "uint8"),
        (np.zeros((3, 16, 16, 4)), "shape"),
        (np.zeros((16, 16)), "shape"),
        (np.zeros((0, 16, 16)), "holds 0"),
        (np.zeros((1, 16, 16)), "2 images"),
        (np.zeros((3, 2, 2)), "pixels a side"),
    ],
)
def test_a_bad_array_is_an_error_with_the_value_that_broke_the_rule(array: Any, words: str, tmp_path: Path) -> None:
    done = run("fit", stored(tmp_path / "a.npy", array), "--detector", "knn", "--out", tmp_path / "m.npz")
    assert done.exit_code == 2
    assert words in done.stderr
    assert not (tmp_path / "m.npz").exists()


def test_objects_pickles_and_other_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    (tmp_path / "t.npy").write_text("no array")
    (tmp_path / "empty.npy").write_bytes(b"")
    np.savez(tmp_path / "z.npz", a=np.zeros(2))
    (tmp_path / "folder").mkdir()
    for name in ("o.npy", "t.npy", "empty.npy", "z.npz", "folder", "none.npy"):
        with pytest.raises(InputError):
            open_pictures(tmp_path / name)
        with pytest.raises(InputError):
            models.load(tmp_path / name)


@given(st.integers(1, 5), st.integers(8, 20), st.integers(8, 20), st.sampled_from([None, 1, 3]), st.sampled_from(["u1", "f4", "f8", "f2"]))
def test_every_shape_and_kind_is_read_as_the_same_pixels(n: int, h: int, w: int, c: int | None, kind: str) -> None:
    import tempfile

    rng = np.random.default_rng(n * h * w)
    grey = rng.integers(0, 256, (n, h, w) if c is None else (n, h, w, c)).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = stored(Path(folder) / "a.npy", grey if kind == "u1" else (grey / 255).astype(kind))
        found = next(iter(open_pictures(path).batches()))
    assert found.shape == (n, c or 1, max(h, w), max(h, w))
    assert found.dtype == np.float32
    top, left = (max(h, w) - h) // 2, (max(h, w) - w) // 2
    inside = found[:, :, top : top + h, left : left + w].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(inside, grey.reshape(inside.shape) / 255, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "n"),
    [("fcn_autoencoder", 3_176_419), ("cnn_autoencoder", 47_355), ("cnn_bn_autoencoder", 47_595), ("noise_classifier", 4_364_140)],
)
def test_networks_for_images_have_the_published_sizes(name: str, n: int) -> None:
    assert sum(p.numel() for p in prepared(name, Training())._make_network(3, 64).parameters()) == n


@pytest.mark.parametrize("name", HERE)
def test_every_detector_of_images_is_kept_as_plain_arrays_and_scores_alone_as_in_a_batch(name: str, tmp_path: Path) -> None:
    side = 32 if name in ("geom", "ocgan") else 16
    pictures = open_pictures(stored(tmp_path / "a.npy", blobs(40, side)))
    try:
        feature_of(name, "pixels")
    except InputError:
        pytest.skip("its extractor reads clicks, no images")
    groups = np.arange(40) % 2 if CATALOGUE[name].across else None
    fitted = models.fit(name, pictures, Training(steps=4), classes=groups)
    models.save(fitted, tmp_path / "m.npz")
    again = models.load(tmp_path / "m.npz")
    whole = models.score(fitted, pictures)
    np.testing.assert_array_equal(models.score(again, pictures), whole)
    np.testing.assert_allclose(again.score(pictures.rows(np.array([7]))), whole[7:8], rtol=1e-6)


def test_detectors_of_classes_say_that_they_need_them(tmp_path: Path) -> None:
    done = run("fit", stored(tmp_path / "a.npy", blobs(9)), "--detector", "max_logit", "--out", tmp_path / "m.npz")
    assert done.exit_code == 2
    assert "--classes" in done.stderr
    assert run("fit", tmp_path / "a.npy", "--detector", "multinomial", "--out", tmp_path / "m.npz").exit_code == 2


def test_from_fit_to_the_evaluation(tmp_path: Path) -> None:
    stored(tmp_path / "train.npy", blobs(120, channels=3))
    stored(tmp_path / "test.npy", blobs(600, channels=3, seed=1, odd=100))
    (tmp_path / "truth.csv").write_text("ID,label\n" + "".join(f"{k},{int(k >= 500)}\n" for k in range(600)))
    model, out = tmp_path / "m.npz", tmp_path / "s.csv"
    assert run("fit", tmp_path / "train.npy", "--detector", "cnn_autoencoder", "--out", model, "--steps", 60).exit_code == 0
    done = run("score", tmp_path / "test.npy", "--model", model, "--out", out, "--report", tmp_path / "r.html")
    assert done.exit_code == 0, done.output
    lines = out.read_text().splitlines()
    assert lines[0] == "ID,score"
    assert [line.split(",")[0] for line in lines[1:]] == [str(k) for k in range(600)]
    assert json.loads(run("evaluate", out, "--truth", tmp_path / "truth.csv", "--json").stdout)["roc_auc"] > 0.95
    page = (tmp_path / "r.html").read_text()
    assert page.count("<tr>") == 49
    assert "reconstruction" in page
    assert sorted(each.name for each in tmp_path.iterdir()) == ["m.npz", "r.html", "s.csv", "test.npy", "train.npy", "truth.csv"]


def test_the_worked_example_of_the_decks(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("ID,score\n0,11383\n1,256676\n2,862365\n3,152435\n4,848171\n")
    (tmp_path / "t.csv").write_text("ID,label\n0,0\n1,1\n2,1\n3,0\n4,0\n")
    found = json.loads(run("evaluate", tmp_path / "s.csv", "--truth", tmp_path / "t.csv", "--json").stdout)
    assert found["roc_auc"] == pytest.approx(0.8333, abs=5e-5)


@pytest.mark.parametrize("bad", ["ID,score\n0,x\n", "ID,score\n0,nan\n", "a,b\n", "", "ID,score\n0,1\n0,2\n", "ID,score\n0\n"])
def test_a_bad_submission_is_an_error(bad: str, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(bad)
    (tmp_path / "t.csv").write_text("ID,label\n0,0\n")
    assert run("evaluate", tmp_path / "s.csv", "--truth", tmp_path / "t.csv").exit_code == 2


def test_a_stopped_scoring_goes_on_and_ends_as_an_unstopped_one(tmp_path: Path) -> None:
    pictures = open_pictures(stored(tmp_path / "a.npy", blobs(600)))
    fitted = models.fit("isolation_forest", pictures, Training())
    whole, kept = models.score(fitted, pictures), tmp_path / "kept"

    def stop(done: float, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        models.score(fitted, pictures, stop, kept)
    kept.write_text(kept.read_text() + "0.5 0.")  # killed in the middle of a line
    seen: list[float] = []
    again = models.score(fitted, pictures, lambda done, what: seen.append(done), kept)
    np.testing.assert_array_equal(again, whole)
    assert len(seen) == 2
    assert not kept.exists()


def test_floats_are_read_as_those_that_were_learned_from(tmp_path: Path) -> None:
    bright = blobs(20, seed=3) / 255 * 0.4 + 0.6
    signed = open_pictures(stored(tmp_path / "s.npy", 2 * (blobs(20) / 255) - 1))
    unit = open_pictures(stored(tmp_path / "u.npy", blobs(20) / 255))
    same = [open_pictures(stored(tmp_path / f"{k}.npy", each)) for k, each in enumerate((bright, 2 * bright - 1))]
    assert [each.span for each in (signed, unit, *same)] == ["-1..1", "0..1", "0..1", "0..1"]
    by_unit, by_signed = (models.fit("knn", each, Training()) for each in (unit, signed))
    np.testing.assert_allclose(models.score(by_signed, same[1]), models.score(by_unit, same[0]), rtol=1e-3)
    with pytest.raises(InputError, match="Store both alike"):
        models.score(by_unit, signed)


def test_a_folder_of_pictures_is_scored_with_a_report_of_where_they_are_odd(tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "<b>"
    folder.mkdir()
    for k, each in enumerate(blobs(30, odd=1)[..., 0]):
        Image.fromarray(each).save(folder / f"{k:02}.png")
    pictures = open_pictures(folder)
    assert pictures.names[:2] == ["00.png", "01.png"]
    for name in ("knn", "st_ssad"):
        fitted = models.fit(name, pictures, Training(steps=12))
        scores = models.score(fitted, pictures)
        write_report(tmp_path / "r.html", fitted, pictures, scores)
        page = (tmp_path / "r.html").read_text()
        assert "<b>" not in page
        assert ("patch that it learned" in page) == (name == "st_ssad")
    Image.new("L", (20, 16)).save(folder / "y.png")
    with pytest.raises(InputError, match=r"y\.png"):
        list(open_pictures(folder).batches())
    (folder / "y.png").unlink()
    (folder / "zz.png").write_text("none")
    with pytest.raises(InputError, match=r"zz\.png"):
        list(open_pictures(folder).batches())


def test_the_leaderboard_compares_and_selects_without_labels(tmp_path: Path) -> None:
    stored(tmp_path / "train.npy", blobs(60))
    stored(tmp_path / "test.npy", blobs(60, seed=1, odd=12))
    (tmp_path / "t.csv").write_text("ID,label\n" + "".join(f"{k},{int(k >= 48)}\n" for k in range(60)))
    names = "knn,ssad_cutout,ssad_cutpaste"
    done = run(
        "leaderboard",
        tmp_path / "train.npy",
        tmp_path / "test.npy",
        "--truth",
        tmp_path / "t.csv",
        "--detectors",
        names,
        "--steps",
        10,
        "--json",
    )
    found = json.loads(done.stdout)
    assert {row["detector"] for row in found["detectors"]} == set(names.split(","))
    assert {"dsv", "hits", "mc", "matching"} <= set(found["selected"])
