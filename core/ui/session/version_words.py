"""Threshold versions in words: in a line, the active one, and against the version by which a run is shown."""

from datetime import date
from typing import Any

from core.calibration import versions
from core.store import Store
from core.ui.render import text

Row = dict[str, Any]
CUT_BY = {
    "F1": "f1", "cost": "cost", "Youden": "youden", "precision": "precision", "FPR": "fpr", "FDR": "fdr", "budget": "budget",
    "manual": "manual",
}  # fmt: skip
"""Methods of `thresholds.METHODS` by the names they have on pages."""
MOST_SIGNS = 80
"""Of a reason, where it stands in a line; the history shows it whole."""
NAMES = {method: name for name, method in CUT_BY.items()}


def line(version: Row | None, fdr: float) -> str:
    """v7, 0-shot, by ana: reason; or the threshold without labels, with its rate of false alarms. Markdown."""
    if version is None:
        return f"{text.percent(fdr, 0)} false alarms, no labels"
    reason = version["reason"] if len(version["reason"]) <= MOST_SIGNS else version["reason"][: MOST_SIGNS - 1] + "\u2026"
    return f"v{version['number']}, {version['shots']}-shot, by {text.markdown(version['author'])}: {text.markdown(reason)}"


def cut(version: Row) -> str:
    """precision 0.9."""
    value = "" if version["value"] is None else f" {version['value']:g}"
    return f"{NAMES.get(version['method'], version['method'])}{value}"


def grids(version: Row) -> str:
    """The grids that it judges."""
    return "every grid" if version["target_grids"] is None else ", ".join(map(text.grid, version["target_grids"]))


def foot(store: Store, run: Row) -> tuple[str, str]:
    """For the sidebar: the active threshold, and where the run is shown by another one, that; with what it means. Markdown."""
    current = versions.in_force(store)
    number = current["number"] if current else None
    meaning = (
        "The default threshold of a run (Benjamini-Hochberg): about this share of the flagged banners is expected to be ok."
        if current is None
        else f"Applies to {grids(current)}; threshold by {cut(current)}, from {text.plural(current['n_labels'], 'label')}. The "
        f"history is on the "
        "Calibrate page."
    )
    words = f"Threshold: {line(current, run['fdr'])}"
    if run["version"] != number:
        of = f"v{run['version']}" if run["version"] is not None else "the threshold without labels"
        name = f"v{number}" if number is not None else "The threshold without labels"
        words += f"  \n:material/warning: This run is shown by {of}. {name} has not judged it."
        meaning += " A version applies to the newest run when it becomes active, and to every later one that has the detectors it needs."
    return words, meaning


def marks(store: Store, first: date, last: date) -> tuple[list[tuple[date, str]], list[str]]:
    """When versions became active: days and names of those within the days of a trend, and lines about all that touch it, newest first.

    Changes after the last day are told as well, up to three: the days of a trend are judged by the active threshold.
    """
    found = versions.history(store)
    inside: dict[date, list[str]] = {}
    for event in reversed(found):
        if first <= event["happened_at"].date() <= last:
            inside.setdefault(event["happened_at"].date(), []).append(f"v{event['number'] or 0}")
    recent = [e for e in found if e["happened_at"].date() >= first][:3]
    return [(day, ", ".join(names[-3:])) for day, names in inside.items()], [_event(e, last) for e in recent]


def _event(event: Row, last: date) -> str:
    day = event["happened_at"].date()
    what = f"v{event['number'] or 0} {'published' if event['op'] == 'publish' else 'brought back'} by {text.markdown(event['author'])}"
    after = ", after the days shown" if day > last else ""
    return f"{text.day(day)}: {what}: {text.markdown(event['reason'])}{after}"
