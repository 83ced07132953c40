"""0-shot and 1-shot compared on the same labels, which neither of them was learned from."""

from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from core.calibration.expectation import Expected
from core.calibration.learn import Labels
from core.calibration.publish import Measured, Preview, Request
from core.errors import HeatproofError
from core.ui.calibrate import reads as calibration_reads
from core.ui.calibrate.tables import of_labels, plain, share
from core.ui.render import text
from core.ui.session import address, components
from core.ui.session.state import Shown


@dataclass(frozen=True)
class Compared:
    """0-shot and 1-shot: flags against the same labels of the grids `left_out`, and what was expected where they were judged at once."""

    measured: tuple[Measured, Measured]
    expected: tuple[Expected, Expected] | None
    left_out: tuple[int, ...]


def parts(request: Request, labels: Labels) -> list[Request]:
    """What to learn to compare: the request itself where labelled grids beside its targets are left to learn from; else each labelled
    target grid in turn from the labels of the others. Empty where fewer than two grids have labels."""
    labelled = np.unique(labels.grid_id).tolist()
    sources = set(labelled if request.source_grids is None else request.source_grids) & set(labelled)
    targets = set(labelled if request.target_grids is None else request.target_grids) & set(labelled)
    if request.target_grids is not None and targets and sources - targets:
        rest = tuple(sorted(sources - targets))
        return [replace(request, source_grids=rest, target_grids=tuple(sorted(targets)))]
    held = targets or sources
    found = [(grid, tuple(sorted(sources - {grid}))) for grid in sorted(held)]
    return [replace(request, source_grids=rest, target_grids=(grid,)) for grid, rest in found if rest]


def measured_on_the_same(first: Preview, second: Preview) -> tuple[Measured, Measured]:
    """Both previews' flags against the labels of their target grids that neither was learned from."""
    used = np.concatenate([part.rows for seen in (first, second) for part in (seen.calibration.source, seen.calibration.shots)])
    labels = first.labels
    left = labels.take(~np.isin(labels.rows, used) & np.isin(labels.rows, first.calibration.target))
    flags, broken = [seen.after[left.rows] for seen in (first, second)], left.broken
    found = [Measured(int((broken & f).sum()), int((~broken & f).sum()), int((broken & ~f).sum()), len(broken)) for f in flags]
    return found[0], found[1]


def compare(run: Shown, request: Request, labels: Labels) -> Compared | None:
    """Learns what is needed and counts; None where too few grids have labels. Raises InputError where a grid has no label to be a shot."""
    pairs = [
        [calibration_reads.preview(run, replace(part, shots=shots)) for shots in (0, 1)] for part in parts(request, labels)
    ]  # two seconds for thousands of banners, kept until a label changes
    if not pairs:
        return None
    counted = [measured_on_the_same(*pair) for pair in pairs]
    sums = [Measured(*(sum(values) for values in zip(*(pair[k] for pair in counted), strict=True))) for k in (0, 1)]
    expected = (pairs[0][0].calibration.expected, pairs[0][1].calibration.expected) if len(pairs) == 1 else None
    grids = tuple(grid for pair in pairs for grid in pair[0].request.target_grids or ())
    return Compared((sums[0], sums[1]), expected, grids)


def show(run: Shown, request: Request, labels: Labels) -> None:
    """The comparison, on request, because it learns again for each grid."""
    st.markdown("**0-shot against 1-shot, on the same labels**")
    if not address.bound(st.toggle, "Compare", key="compare", help="Learns twice for each grid that is left out: some seconds"):
        st.caption("Each labelled grid is judged by labels of the others, with none and with one of its own.")
        return
    try:
        found = compare(run, request, labels)
    except HeatproofError as error:
        st.info(text.markdown(error))
        return
    if found is None or not found.measured[0].n:
        st.info("This needs labels on two grids, one to train on and one to apply to. Label banners of another grid.")
        return
    components.pick_table(table(found), "shots_table", on_pick=lambda: None)
    where = ", ".join(map(str, found.left_out))
    st.caption(
        f"{text.plural(found.measured[0].n, 'label')} of grid{'s' if len(found.left_out) > 1 else ''} {where}, of which neither saw one. "
        + ("Each grid was judged by labels of the others. " if found.expected is None else "")
        + "1-shot takes one banner labelled ok of each; which one is drawn by the seed."
    )


def table(found: Compared) -> str:
    """A column each."""
    rows = [(name, *(share(*of_labels(m)[k]) for m in found.measured)) for k, name in enumerate(("precision", "recall"))]
    rows += [("F1", *(text.decimal(m.f1, 3) for m in found.measured))]
    rows += [("hits, false, missed", *(f"{m.hits:,}, {m.false:,}, {m.missed:,}" for m in found.measured))]
    if found.expected is not None:
        first, second = found.expected
        pairs = zip(("precision", "recall", "F1"), first[:3], second[:3], strict=True)
        rows += [(f"expected {name}", share(*a), share(*b)) for name, a, b in pairs]
    return plain(("measured", "0-shot", "1-shot"), rows)
