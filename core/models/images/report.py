"""A set as one HTML page: the most anomalous images, each with its score, its reconstruction and where it is odd."""

import base64
import html
import io
from pathlib import Path
from typing import Any

import numpy as np

from core.models.images.model import Model
from core.models.images.reading import Pictures
from core.statistics.arrays import Image, Vector

SHOWN = 48
PATCH = 4
"""Share of the side, one over it, that is covered at a time where a detector draws nothing."""
STYLE = (
    "body{font:14px system-ui;margin:2em}img{width:128px;height:128px;image-rendering:pixelated}td,th{padding:.3em .8em;text-align:left}"
)


def write_report(path: Path, model: Model, pictures: Pictures, scores: Vector) -> None:
    """Writes the SHOWN images of highest score; all is inside the one file."""
    first = np.argsort(-scores, kind="stable")[:SHOWN]
    images = pictures.rows(np.sort(first))[np.argsort(np.argsort(first))]
    drawn = reconstructed(model, images)
    odd = oddness(model, images, drawn)
    top = max(float(np.quantile(odd, 0.999)), 1e-12)
    head = ["rank", "image", "score", "picture", *(["reconstruction"] if drawn is not None else []), "where it is odd"]
    rows = []
    for k, row in enumerate(first):
        cells = [str(k + 1), html.escape(pictures.names[row]), f"{scores[row]:.6g}", _picture(images[k])]
        cells += [_picture(drawn[k])] if drawn is not None else []
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in [*cells, _picture(_hot(odd[k] / top))]) + "</tr>")
    name = html.escape(model.about["detector"])
    how = "how far picture and reconstruction differ" if drawn is not None else "how much the score falls where a patch is covered"
    about = f"{name} on {len(pictures):,} images of {html.escape(str(pictures.path))}. Bright: {how}."
    body = f"<h1>Most anomalous images</h1><p>{about}</p>{_learned(model, images)}<table><tr>"
    body += "".join(f"<th>{title}</th>" for title in head) + "</tr>" + "\n".join(rows) + "</table>"
    path.write_text(f"<!doctype html><meta charset='utf-8'><title>{name}</title><style>{STYLE}</style>{body}", encoding="utf-8")


def reconstructed(model: Model, images: Image) -> Image | None:
    """(n, c, side, side) images as the detector draws them, None where it draws none."""
    if not hasattr(model.detector, "reconstruct"):
        return None
    return np.asarray(model.detector.reconstruct(images, np.zeros(len(images), dtype=np.int64)))


def oddness(model: Model, images: Image, drawn: Image | None) -> Image:
    """(n, side, side) where images are odd, 0 or more: squared differences from the reconstruction; without one, by how much the score
    falls once a patch is covered with the mean of these images."""
    if drawn is not None:
        return np.asarray(np.square(images - drawn).mean(axis=1))
    side = images.shape[2]
    step = max(side // (2 * PATCH), 1)
    total, count = np.zeros((len(images), side, side), dtype=np.float32), np.zeros((side, side), dtype=np.float32)
    before, mean = model.score(images), images.mean(axis=0)
    for y in range(0, side - step, step):
        for x in range(0, side - step, step):
            at = np.s_[y : y + 2 * step, x : x + 2 * step]
            covered = images.copy()
            covered[(..., *at)] = mean[(..., *at)]
            total[(slice(None), *at)] += np.maximum(before - model.score(covered), 0)[:, None, None]
            count[at] += 1
    return np.asarray(total / np.maximum(count, 1))


def _learned(model: Model, images: Image) -> str:
    """What a self-supervised detector makes of images to learn from, and the patch that ST-SSAD learned."""
    if not hasattr(model.detector, "augmented"):
        return ""
    made = "".join(_picture(each) for each in model.detector.augmented(images[:8]))
    said = ""
    if hasattr(model.detector, "learned_"):
        (first, last) = model.detector.learned_[0], model.detector.learned_[-1]
        words = [f"{what} {a:.3g} to {b:.3g}" for what, a, b in zip(("area", "aspect", "angle"), first, last, strict=True)]
        said = f"<p>The patch that it learned, from its first size to its last: {', '.join(words)}.</p>"
    return f"{said}<p>What it learns to tell from normal images, made of the first eight:</p><p>{made}</p>"


def _hot(values: Any) -> Image:
    """(3, side, side) black to red to yellow to white for 0..1."""
    v = np.clip(values, 0, 1)
    return np.stack([np.clip(3 * v - k, 0, 1) for k in range(3)]).astype(np.float32)


def _picture(image: Image) -> str:
    from PIL import Image as Picture

    pixels = (np.clip(image, 0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0)
    file = io.BytesIO()
    Picture.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'
