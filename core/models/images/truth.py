"""Submissions `ID,score`, truths `ID,label`, and how well the one fits the other."""

import csv
import math
from pathlib import Path

import numpy as np

from core.errors import InputError
from core.statistics.arrays import Codes, Vector


def write_submission(path: Path, names: list[str], scores: Vector) -> None:
    """`ID,score` and a row an image, in the set's order. Names that a spreadsheet would run as a formula start with an apostrophe."""
    half = path.with_name(f".{path.name}.part")
    with half.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["ID", "score"])
        rows.writerows((f"'{name}" if name[:1] in "=+-@" else name, repr(float(score))) for name, score in zip(names, scores, strict=True))
    half.replace(path)


def read_column(path: Path, column: str) -> dict[str, str]:
    """{ID: text} of a CSV with the columns ID and `column`. Raises InputError with the line for a row that cannot be used."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"A CSV is a readable UTF-8 file: {path} is none ({error}). Check the path.") from error
    lines = csv.reader(text.splitlines())
    header = [name.strip() for name in next(lines, [])]
    if "ID" not in header or column not in header:
        raise InputError(f"The first line is ID,{column}: that of {path} is {','.join(header) or 'empty'}. Name the columns so.")
    at, its = header.index("ID"), header.index(column)
    found: dict[str, str] = {}
    for row in lines:
        if not any(row):
            continue
        if len(row) != len(header):
            raise InputError(f"A row has {len(header)} values: line {lines.line_num} of {path} has {len(row)}. Mend it.")
        name = row[at].strip()
        if name in found:
            raise InputError(f"An ID stands once: line {lines.line_num} of {path} repeats {name}. Remove one of the rows.")
        found[name] = row[its].strip()
    return found


def labels(path: Path, names: list[str]) -> Codes:
    """(n,) 1 = anomaly, 0 = normal, of the images in their order, from a CSV `ID,label`. Raises InputError for missing ones."""
    found = _of(read_column(path, "label"), path, names)
    wrong = next((name for name, text in zip(names, found, strict=True) if text not in ("0", "1")), None)
    if wrong is not None:
        raise InputError(f"A label is 0 (normal) or 1 (anomaly): that of {wrong} in {path} is neither. Mend it.")
    return np.array([int(text) for text in found], dtype=np.int64)


def classes(path: Path, names: list[str]) -> Codes:
    """(n,) codes of known classes, from a CSV `ID,class`."""
    return np.unique(_of(read_column(path, "class"), path, names), return_inverse=True)[1].astype(np.int64)


def scores(path: Path) -> tuple[list[str], Vector]:
    """IDs and (n,) scores of a submission. Raises InputError for one that is no finite number."""
    found = read_column(path, "score")
    values = []
    for name, text in found.items():
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(f"A score is a finite number: that of {name} in {path} is {text!r}. Mend it.")
        values.append(value)
    return [name.removeprefix("'") for name in found], np.array(values)


def _of(found: dict[str, str], path: Path, names: list[str]) -> list[str]:
    lost = [name for name in names if name not in found]
    if lost:
        raise InputError(f"Every image has a row: {len(lost)} of {len(names)} have none in {path}, such as {lost[0]}. Add them.")
    return [found[name] for name in names]


def figures(values: Vector, truth: Codes) -> dict[str, float | int]:
    """ROC-AUC and average precision. Raises InputError unless there are normal images and anomalies."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    n_odd = int(truth.sum())
    if not 0 < n_odd < len(truth):
        raise InputError(f"A ROC needs normal images and anomalies: {n_odd} of {len(truth)} are anomalies. Add the other kind.")
    area, precision = float(roc_auc_score(truth, values)), float(average_precision_score(truth, values))
    return {"roc_auc": area, "average_precision": precision, "n_images": len(truth), "n_anomalies": n_odd}
