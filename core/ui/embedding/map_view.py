"""The map view of the Embedding page: what is chosen, the sentence, the figure and what is known of the map."""

import json
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.embeddings.job import MAP, features
from core.store import spelling
from core.store.queries import banner
from core.store.queries.embeddings import HEATMAP, Points
from core.store.queries.runs import Row
from core.ui.embedding import selection, selection_panel
from core.ui.render import scatter, text
from core.ui.session import address, components, job_panel, map_job, reads, state
from core.ui.session import reads as detector_reads
from core.ui.session.state import Shown

AXES = ("2-D", "3-D")


@dataclass(frozen=True)
class Choice:
    """What the row of controls says."""

    feature: str
    method: str
    is_deep: bool
    colour: str
    find: str


@st.cache_data(show_spinner=False)
def feature_names() -> list[str]:
    """Features that a map can be made of; kept, since asking for them loads the catalogue."""
    return features()


def choose(maps: list[Row], bar: Any) -> Choice:
    """The controls, all in the URL, in `bar`; the latest map is what one sees first."""
    names = feature_names()
    first = maps[0] if maps else {"feature": HEATMAP, "method": "pca"}
    made = sorted({m["feature"] for m in maps})
    with bar:
        feature = address.bound(st.selectbox,
            "Feature", names, index=names.index(first["feature"]) if first["feature"] in names else 0, key="feature",
            width=200, help=f"Made for this run: {', '.join(made) or 'none yet'}",
        )  # fmt: skip
        method = address.bound(
            st.segmented_control, "Method", list(map_job.METHODS), default=first["method"].upper(), key="method", required=True
        )
        axes = address.bound(st.segmented_control, "Axes", AXES, default=AXES[0], key="axes", required=True)
        colour = address.bound(st.selectbox, "Colour", scatter.COLOURS, index=1, key="colour", width=110)
        find = address.bound(st.text_input, "Find banner", key="find", width=190, placeholder="bn-000123", type="search")
    return Choice(feature or HEATMAP, map_job.METHODS[method or "PCA"], axes == AXES[1], colour or "flag", str(find or ""))


def map_view(run: Shown, maps: list[Row], top: Any, bar: Any) -> None:
    """The map with its controls, the selection, and one banner's neighbours; the sentence goes to `top`, controls to `bar`."""
    chosen = choose(maps, bar)
    is_running = job_panel.show(MAP, map_job.WORDS)
    about = next((m for m in maps if (m["feature"], m["method"]) == (chosen.feature, chosen.method)), None)
    if about is None:
        with top:
            components.sentence("Which banners resemble each other? This map was not made yet.")
        if not is_running:
            map_job.missing(run, chosen.feature, chosen.method)
        return
    points = reads.points(run.path, run.run_id, about["embedding_id"])
    with top:
        components.sentence(text.markdown(sentence(points, about)))
    at = find(run, points, chosen.find)
    west, east = st.columns([0.58, 0.42], gap="medium")
    with west:
        figure(run, points, about, chosen, at)
        facts(run, points, about, chosen)
    with east:
        selection_panel.panel(run, points, about)
    selection_panel.alike(run, points, about, str(points.banner_id[at]) if at is not None else None)


def sentence(points: Points, about: Row) -> str:
    """The 6,030 banners fall into 8 clusters; 62 % of flagged banners are outliers, 12 % of the rest."""
    of = "" if about["n_points"] == about["n_banners"] else f" of {about['n_banners']:,}"
    who = f"{len(points):,}{of} banners"
    outside, flagged = points.cluster < 0, points.flagged
    if not about["n_clusters"]:
        return f"{who} form no clusters by {text.fault(about['feature'])}: they are all more or less alike."
    words = f"{who} fall into {text.plural(about['n_clusters'], 'cluster')} by {text.fault(about['feature'])}"
    if not flagged.any() or flagged.all():
        return f"{words}; {text.percent(float(outside.mean()), 0)} are outliers."
    inside, others = text.percent(float(outside[flagged].mean()), 0), text.percent(float(outside[~flagged].mean()), 0)
    return f"{words}; {inside} of flagged banners are outliers, {others} of the rest."


def find(run: Shown, points: Points, banner_id: str) -> int | None:
    """The row of the banner that is searched for; says so where it is not on the map."""
    if not banner_id.strip():
        return None
    for name in (banner_id, spelling.banner_id(banner_id)):
        row = points.row_of(name)
        if row is not None:
            return row
    if banner.known(run.store, banner_id):
        why = "it is not on this map: the run did not score it, or the sample left it out."
    else:
        close = ", ".join(banner.similar_ids(run.store, banner_id, 4))
        why = f"the store has no such banner.{f' Close: {close}.' if close else ''}"
    st.warning(f"“{text.markdown(banner_id)}”: {text.markdown(why)}", icon=":material/search_off:")
    return None


def figure(run: Shown, points: Points, about: Row, chosen: Choice, at: int | None) -> None:
    """The map; selected on it is what the lasso or the box holds."""
    token, said = what_was_said(run, chosen.colour)
    dark, theme = state.is_dark(), state.theme()
    drawn = scatter.layers(points, chosen.colour, said, theme, dark)
    anchors = reads.map_anchors(run.path, about["embedding_id"])
    same = f"{about['embedding_id']} {chosen.is_deep} {at}"
    alt = f"Map of {len(points):,} banners, coloured by {chosen.colour}"
    if chosen.is_deep:
        deep = scatter.deep_map(points, drawn, anchors, theme, dark, ring=at, selected=selection.rows_of(points.banner_id), revision=same)
        st.plotly_chart(deep, key="map_deep", config=scatter.CONFIG, theme=None, alt=alt)
        return
    selection.plot(
        f"{same} {chosen.colour} {token} {dark}",
        points.banner_id,
        lambda lit: scatter.flat_map(points, drawn, anchors, theme, dark, ring=at, selected=lit, revision=same),
        scatter.CONFIG,
        alt,
    )


def what_was_said(run: Shown, colour: str) -> tuple[str, dict[str, str]]:
    """Labels or decisions by banner_id where they colour the map, and a token that changes with them."""
    if colour == "decision":
        return reads.token(run), reads.decided(run.path, reads.token(run))
    if colour == "label":
        found, n_hidden = detector_reads.seen_labels(run)
        return f"{detector_reads.labels_token(run)} {n_hidden}", found
    return "", {}


def signs(run: Shown, points: Points, about: Row, chosen: Choice) -> str:
    """What the signs on the map mean, of those that are drawn, and what one can do with it."""
    words = [f"Flagged: {'◆' if chosen.is_deep else '▲'}."] if points.flagged.any() else []
    words.append("Drag turns the map; selecting works in 2-D." if chosen.is_deep else "Scrolling zooms, lasso and box select.")
    if reads.map_anchors(run.path, about["embedding_id"]):
        words.append("An anchor is the mean direction of a layout's banners that are not flagged.")
    said = what_was_said(run, chosen.colour)[1]
    if chosen.colour in ("label", "decision") and not any(str(name) in said for name in points.banner_id):
        words.append(f"No banner of this map has a {chosen.colour} {'to show' if chosen.colour == 'label' else 'yet'}.")
    if chosen.colour == "label" and (n_hidden := detector_reads.seen_labels(run)[1]):
        words.append(f"Labels of {text.plural(n_hidden, 'banner')} stay hidden until you label them too, so that yours are blind.")
    return " ".join(words)


def facts(run: Shown, points: Points, about: Row, chosen: Choice) -> None:
    """What the signs mean, and how far the map can be trusted."""
    st.caption(signs(run, points, about, chosen))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(text.markdown(trust(about, 3 if chosen.is_deep else 2)), width="stretch")
        with st.popover("About this map", icon=":material/info:"):
            st.markdown("\n".join(f"- {text.markdown(line)}" for line in details(about)))
            map_job.button(run, about["feature"], about["method"], "Make it again")


def trust(about: Row, n_axes: int) -> str:
    """Certificate and variance shares in a line."""
    share = text.percent(sum(about["shares"][:n_axes]), 0)
    held = f"{n_axes} axes hold {share} of the variance"
    proof = json.loads(about["certificate"]) if about["certificate"] else None
    if proof is None:
        return f"PCA: {held}."
    if proof["ratio"] is None:
        return f"MVU: no bound could be shown for this map, {held}."
    return f"MVU: within {100 * (proof['ratio'] - 1):.1f} % of the optimum, {held}."


def details(about: Row) -> list[str]:
    """Everything else that is known of a map."""
    shares = ", ".join(text.percent(share) for share in about["shares"])
    lines = [
        f"made {text.ago(about['finished_at'])} in {text.duration(about['seconds'])}",
        f"{about['n_points']:,} of {about['n_banners']:,} banners of the run",
        f"variance on the three axes: {shares}",
        f"distances between banners rest on the 32 strongest directions, which hold {text.percent(about['near_share'], 0)} of the variance",
    ]
    if about["n_fitted"] < about["n_points"]:
        lines.append(f"fitted on {about['n_fitted']:,} banners, all flagged ones first; the others were placed among them")
    proof = json.loads(about["certificate"]) if about["certificate"] else None
    if proof:
        if proof["ratio"] is not None:
            lines.append(f"certificate: no unfolding of these neighbours spreads more than {100 * (proof['ratio'] - 1):.1f} % further")
        lines.append(f"edges off their length: 99 % of them by at most {proof['violation_p99']:.1e}; graph of {proof['n_pieces']} pieces")
    if about["weights"]:
        lines.append(f"weights {about['weights']}")
    lines.append("turned to the map before it, so that places can be compared" if about["aligned_to"] else "the first map of its kind")
    return lines
