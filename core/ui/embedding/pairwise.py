"""The pairwise view of the Embedding page: two cosine similarities against each other on one grid, with 0-shot and 1-shot thresholds."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.calibration import cosine_cuts
from core.calibration.cosine_cuts import Quadrants
from core.errors import InputError
from core.features.names import cosine_of, feature_of
from core.features.networks.weight_files import weights_folder
from core.statistics.arrays import Vector
from core.store.queries import cosines
from core.store.queries.runs import Row
from core.ui.embedding import map_view, selection, selection_panel
from core.ui.render import cosine_charts, scatter, text
from core.ui.session import address, components, reads, state
from core.ui.session.state import Shown

SHOTS = ("0-shot", "1-shot")
FROM_HUB = ("resnet50", "vit_base")


@dataclass(frozen=True)
class Side:
    """One axis on one grid: the feature in words, distances (n,) to the run's anchors, to the known-ok banner, and the 0-shot threshold."""

    name: str
    distance: Vector
    one_shot: Vector | None
    cut: cosine_cuts.Cut | None


def view(run: Shown, top: Any, bar: Any) -> None:
    """The whole view; its sentence goes to `top`, its controls to `bar`."""
    detectors = reads.cosine_detectors(run.path, run.run_id)
    if len(detectors) < 2:
        too_few(detectors, top)
        return
    grid, first, second, shot = choose(run, detectors, bar)
    one, two = (reads.asked(run.path, run.run_id, name) for name in (first, second))
    found = cosines.pair(one, two, grid)
    names, flagged = found.banner_id, found.flagged
    known = pick_known(run, grid, names, np.isfinite(found.distance[0]) & np.isfinite(found.distance[1]))
    x, y = (side(run, name, grid, names, distance, known) for name, distance in zip((first, second), found.distance, strict=True))
    if x.cut is None or y.cut is None:
        with top:
            components.sentence(
                f"Grid {text.markdown(text.grid(grid))} has no 0-shot threshold: too few banners of other grids were scored."
            )
        components.empty(
            "A 0-shot threshold comes from other grids",
            f"It needs {cosine_cuts.LEAST} of their banners with both cosines. Score more grids in one run.", page="data", label="Data",
        )  # fmt: skip
        return
    is_one = shot == SHOTS[1] and x.one_shot is not None and y.one_shot is not None
    by_run = cosine_cuts.quadrants(x.distance, y.distance, x.cut.distance, y.cut.distance)
    by_one = one_shot_quadrants(x, y)
    split = by_one if is_one and by_one is not None else by_run
    with top:
        components.sentence(text.markdown(sentence(grid, split, flagged, shot if is_one else SHOTS[0])))
    if shot == SHOTS[1] and not is_one:
        no_one_shot(run, grid, known)
    west, east = st.columns([0.58, 0.42], gap="medium")
    with west:
        figure(run, (x, y), names, flagged, split, is_one=is_one, grid=grid)
    with east:
        counted((x.name, y.name), by_run, by_one, flagged, n_of_grid(run, grid))
        rest(x.cut, y.cut, known if by_one is not None else None)
        selected_here(run, names)


def selected_here(run: Shown, names: NDArray[Any]) -> None:
    """Of the selected banners those on this chart: a selection may come from a map of all grids, or from another grid."""
    ids = selection.ids()
    here = [str(names[k]) for k in selection.rows_of(names)]
    if not ids:
        return
    if len(here) < len(ids):
        st.caption(f"{len(here):,} of the {text.plural(len(ids), 'selected banner')} are on this chart.")
    if here:
        selection_panel.chosen_panel(run, here)
    else:
        st.button("Clear the selection", key="map_clear", type="tertiary", on_click=selection.clear)


def choose(run: Shown, detectors: list[str], bar: Any) -> tuple[int, str, str, str]:
    """Grid, the two detectors, and which shot; all in the URL, in `bar`."""
    grids = reads.facets(run.path, run.run_id)["grids"]
    worst = most_flagged(run, grids)
    with bar:
        options = [str(g) for g in grids]
        grid = address.bound(
            st.selectbox, "Grid", options, index=options.index(str(worst)), key="pair_grid", width=130, format_func=text.grid
        )
        first = address.bound(st.selectbox, "Across", detectors, key="across", width=220, format_func=in_words)
        others = [d for d in detectors if d != first]
        second = address.bound(st.selectbox, "Up", others, key="up", width=220, format_func=in_words)
        shot = address.bound(st.segmented_control,
            "Anchor", SHOTS, default=SHOTS[0], key="shot", required=True,
            help="0-shot: the anchors of the run, the threshold of the other grids. 1-shot: the same threshold, one known-ok banner "
                "as the anchor.",
        )  # fmt: skip
    return int(grid), first, second, shot or SHOTS[0]


def most_flagged(run: Shown, grids: list[int]) -> int:
    """The grid that one wants to see first."""
    counted_rows = reads.grids(run.path, run.run_id, 0, None, None)
    return int(max(counted_rows, key=lambda r: r["flagged"])["grid_id"]) if counted_rows else grids[0]


def n_of_grid(run: Shown, grid: int) -> int:
    """Banners of a grid that the run scored."""
    return sum(int(r["n"]) for r in reads.grids(run.path, run.run_id, 0, None, None) if r["grid_id"] == grid)


def in_words(detector: str) -> str:
    """efficientnet lite0."""
    return text.fault(feature_of(detector))


def pick_known(run: Shown, grid: int, names: NDArray[Any], asked: NDArray[np.bool_]) -> str | None:
    """The known-ok banner of a grid, rather one that both detectors were asked about: its features are kept."""
    known = cosines.known_ok(run.store, run.run_id, grid)
    both = set(names[asked])
    return cosine_cuts.pick_known_ok([name for name in known if name in both] or known)


def side(run: Shown, detector: str, grid: int, names: NDArray[Any], distance: Vector, known: str | None) -> Side:
    """One axis."""
    cut = reads.zero_shot_cut(run.path, run.run_id, detector, grid)
    asked = names[np.isfinite(distance) & (names != known)]
    one = one_shot(run.path, run.run_id, detector, grid, known, run.run, np.append(asked, known)) if known else None
    return Side(in_words(detector), distance, None if one is None else np.array([one.get(name, np.nan) for name in names]), cut)


@st.cache_data(max_entries=32, show_spinner="Comparing with the known-ok banner …")
def one_shot(path: str, run_id: str, detector: str, grid: int, known: str, _run: Row, _names: NDArray[Any]) -> dict[str, float] | None:
    """Distance to the known-ok banner by banner_id, of those whose features are kept; None where its own are not."""
    from core.banners.heatmaps import counts_of_lists
    from core.banners.images import content_keys
    from core.features import EXTRACTORS, make_extractor  # here: brings scipy, and only this view reads features
    from core.features.cache import FeatureStore, folder_of
    from core.features.trained_here import OwnExtractor

    store = state.at_path(path)
    table = cosines.heatmaps(store, _run, _names.tolist())
    names = table["banner_id"].to_pylist()
    try:
        name = feature_of(detector)
        given = {"own_weights": weights_folder(store.path.resolve())} if isinstance(EXTRACTORS.get(name), OwnExtractor) else {}
        kept = FeatureStore(folder_of(store.path.resolve()), make_extractor(name, **given))
    except InputError:  # the run is older than the catalogue, or the weights are gone
        return None
    keys = content_keys(counts_of_lists(table["bins"], table["counts"]))
    has = np.flatnonzero(kept.has(keys))
    own = [names[k] for k in has]
    if known not in own:
        return None
    distance = cosine_cuts.one_shot_distance(kept.read(keys[has]), own.index(known))
    return dict(zip(own, distance.tolist(), strict=True))


def one_shot_quadrants(x: Side, y: Side) -> Quadrants | None:
    """The same split with the known-ok banner as the anchor; None where there is none."""
    if x.one_shot is None or y.one_shot is None or x.cut is None or y.cut is None:
        return None
    return cosine_cuts.quadrants(x.one_shot, y.one_shot, x.cut.distance, y.cut.distance)


def sentence(grid: int, split: Quadrants, flagged: NDArray[np.bool_], shot: str) -> str:
    """On grid 333346, 52 of 969 banners lie beyond both 0-shot thresholds, 47 of them flagged; 21 beyond one."""
    n = int((~split.left_out).sum())
    both, one = split.both, split.only_first | split.only_second
    return (
        f"On grid {text.markdown(text.grid(grid))}, {int(both.sum()):,} of {text.plural(n, 'banner')} lie beyond both {shot} thresholds, "
        f"{int((both & flagged).sum()):,} of them flagged; {int(one.sum()):,} beyond one, {int((one & flagged).sum()):,} flagged."
    )


def figure(
    run: Shown, sides: tuple[Side, Side], names: NDArray[Any], flagged: NDArray[np.bool_], split: Quadrants, *, is_one: bool, grid: int
) -> None:
    """The two similarities with thresholds, quadrants counted, decisions marked."""
    theme, token = state.theme(), reads.token(run)
    states = reads.decided(run.path, token)
    decided = np.array([states.get(name, "open") for name in names])
    x, y = ((1 - (s.one_shot if is_one and s.one_shot is not None else s.distance)) for s in sides)
    cuts = [1 - s.cut.distance for s in sides if s.cut is not None]
    there = ~split.left_out
    beyond = split.both | split.only_first | split.only_second
    otherwise = ((decided == "confirmed") & split.neither) | ((decided == "dismissed") & beyond)
    pale = {"size": 9, "symbol": "triangle-up", "color": theme.broken, "opacity": 0.5}
    bold = {"size": 11, "symbol": "triangle-up", "color": theme.broken, "line": {"width": 1.5, "color": theme.text}}
    marks = [
        ("not flagged", np.flatnonzero(there & ~flagged & (decided == "open")), {"size": 5, "color": theme.muted, "opacity": 0.45}),
        ("flagged, open", np.flatnonzero(there & flagged & (decided == "open")), pale),
        ("confirmed", np.flatnonzero(there & (decided == "confirmed")), bold),
        ("dismissed", np.flatnonzero(there & (decided == "dismissed")), {"size": 9, "symbol": "circle", "color": theme.ok}),
        ("decided against the threshold", np.flatnonzero(there & otherwise),
         {"size": 17, "symbol": "circle-open", "color": theme.text, "line": {"width": 2}}),
    ]  # fmt: skip
    dash = "dot" if is_one else "dash"
    titles = (f"cosine similarity, {sides[0].name}", f"cosine similarity, {sides[1].name}")
    lines, corners = [("x", cuts[0], dash), ("y", cuts[1], dash)], notes(split, (sides[0].name, sides[1].name))
    base = f"pairs {run.run_id} {sides[0].name} {sides[1].name} {is_one} {grid} {token} {state.is_dark()}"
    selection.plot(
        base, names, lambda lit: cosine_charts.lit(cosine_charts.pairs(marks, x, y, names, lines, corners, titles, theme), lit),
        scatter.CONFIG, f"Two cosine similarities of {len(names):,} banners",
    )  # fmt: skip
    kind = "Dotted: 1-shot thresholds" if is_one else "Dashed: 0-shot thresholds"
    st.caption(f"{kind}; left of or below a line a banner counts as broken. Right and top: alike to its anchor.")


def notes(split: Quadrants, names: tuple[str, str]) -> list[tuple[float, float, str]]:
    """Counts in the corners: low similarity is left and below."""
    corners = (
        (0.01, 0.01, split.both, "beyond both"),
        (0.01, 0.99, split.only_first, f"only {names[0]}"),
        (0.99, 0.01, split.only_second, f"only {names[1]}"),
        (0.99, 0.99, split.neither, "within both"),
    )
    return [(x, y, f"<b>{int(mask.sum()):,}</b> {words}") for x, y, mask, words in corners]


def counted(names: tuple[str, str], by_run: Quadrants, by_one: Quadrants | None, flagged: NDArray[np.bool_], n: int) -> None:
    """Quadrants of both shots side by side, and how many of the grid's n banners are in none."""
    labels = {"both": "beyond both", "only_first": f"only {names[0]}", "only_second": f"only {names[1]}", "neither": "within both"}
    rows = []
    for key, label in labels.items():
        mine = getattr(by_run, key)
        row = {"quadrant": label, "0-shot": text.number(mine.sum()), "▲ flagged": text.number((mine & flagged).sum())}
        other = getattr(by_one, key) if by_one is not None else None
        row |= {"1-shot": text.number(None if other is None else other.sum())}
        rows.append(row | {"▲ flagged 1-shot": text.number(None if other is None else (other & flagged).sum())})
    st.dataframe(rows, hide_index=True, alt="Banners by quadrant")
    left_out = n - int((~by_run.left_out).sum())
    if left_out:
        words = text.plural(left_out, "banner")
        st.caption(f"{words} of this grid left out of one of the two: not asked, since a flag was out of reach.")


def rest(x: cosine_cuts.Cut, y: cosine_cuts.Cut, known: str | None) -> None:
    """Where the cuts come from."""
    st.caption(
        f"0-shot: the cut leaves the share broken on the other grids beyond it ({text.percent(x.share_broken)} of {x.n:,} banners): "
        f"similarity {1 - x.distance:.3f} across, {1 - y.distance:.3f} up."
    )
    if known:
        st.caption(
            f"1-shot: the same thresholds, with {text.markdown(known)}, dismissed by an analyst and drawn by a fixed seed, as the anchor."
        )


def no_one_shot(run: Shown, grid: int, known: str | None) -> None:
    """Why there is no 1-shot anchor, and what to do."""
    if known is None:
        st.info(
            f"1-shot needs one banner of grid {text.markdown(text.grid(grid))} that is known to be ok, and none was dismissed yet. "
            f"Dismiss a false alarm in Triage, or select banners here and dismiss them. Shown: 0-shot.",
            icon=":material/info:",
        )
    else:
        st.info(
            f"1-shot needs the features of {text.markdown(known)}, which are not kept beside this store. Score again with these detectors.",
            icon=":material/info:",
        )


def too_few(detectors: list[str], top: Any) -> None:
    """The state of a run without two cosine detectors."""
    with top:
        components.sentence("Do two deep features agree? This run does not say.")
    local = [name for name in map_view.feature_names()[1:] if not name.startswith(FROM_HUB)]
    asked = ",".join(["likelihood_ratio", *(cosine_of(name) for name in local[:3])])
    has = f"this run has one, {in_words(detectors[0])}" if detectors else "this run has none"
    components.empty(
        "Two cosine similarities are needed",
        f"This view compares two deep features, and {has}. Stop this app and score with two or more of them:",
        code=f"python -m core score --detectors {asked}",
    )
