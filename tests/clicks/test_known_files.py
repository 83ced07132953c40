"""Files that were ingested before: the same, grown, corrected, packed, renamed, rotated; and sequences of all that against a slow twin."""

import gzip
import hashlib
import itertools
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.clicks import undo
from core.clicks.ingest import Options, ingest
from core.clicks.known_files import Content, KnownPath, _hash_of
from core.errors import InputError
from core.store import Store
from tests.conftest import Place
from tests.support.slow_store import Click, SlowStore

HEADER = "click_id,banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at\n"
DAY = "2026-11-20"
REPLACE, ADD, ROTATING = (Options(known=known) for known in ("replace", "add", "rotating"))


@pytest.fixture
def store(place: Place) -> Any:
    with Store(place("store")) as opened:
        yield opened


def text_of(clicks: list[Click]) -> str:
    rows = [f"{click_id},{banner},7,4,d.example,{(col + 0.5) / 40},0.01,{DAY}T01:00:00Z\n" for click_id, banner, col in clicks]
    return HEADER + "".join(rows)


def log(path: Path, *cols: int) -> Path:
    path.write_text(text_of([("", "b", col) for col in cols]))
    return path


def counts(store: Store) -> Counter[tuple[str, int]]:
    rows = store.rows("SELECT banner_id, unnest(bins) AS bin, unnest(counts) AS n FROM heatmap_day")
    found: Counter[tuple[str, int]] = Counter()
    for row in rows:
        found[row["banner_id"], row["bin"]] += row["n"]
    return found


def n_clicks(store: Store) -> int:
    return sum(counts(store).values())


@pytest.mark.lakes
def test_a_file_that_grew_and_was_corrected_is_counted_once(store: Store, tmp_path: Path) -> None:
    path = log(tmp_path / "today.csv", 1, 2, 3)
    ingest(store, [path])
    log(path, 1, 2, 3, 4, 5)
    with pytest.raises(InputError, match=r"begins with all of .*--replace"):
        ingest(store, [path])
    grown = ingest(store, [path], options=REPLACE).files[0]
    assert (grown.accepted, len(grown.replaced), n_clicks(store)) == (5, 1, 5)
    log(path, 1, 2, 9, 4)
    with pytest.raises(InputError, match=r"ingested before with other content.*--replace.*--add.*--rotating"):
        ingest(store, [path])
    ingest(store, [path], options=REPLACE)
    assert counts(store) == {("b", 1): 1, ("b", 2): 1, ("b", 9): 1, ("b", 4): 1}
    states = [row["state"] for row in undo.ingests(store)]
    assert states == ["in the store", "taken back", "taken back"]
    assert ingest(store, [path], options=ADD).already_ingested


def test_a_grown_file_is_recognised_under_another_name_and_packed(store: Store, tmp_path: Path) -> None:
    ingest(store, [log(tmp_path / "a.csv", 1, 2)])
    packed = tmp_path / "b.csv.gz"
    packed.write_bytes(gzip.compress(log(tmp_path / "c.csv", 1, 2, 3).read_bytes()))
    with pytest.raises(InputError, match="newer version"):
        ingest(store, [packed])
    ingest(store, [packed], options=REPLACE)
    assert n_clicks(store) == 3
    assert ingest(store, [tmp_path / "c.csv"]).already_ingested


def test_a_log_and_its_packed_copy_are_one(store: Store, tmp_path: Path) -> None:
    path = log(tmp_path / "a.csv", 1, 2)
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes(), mtime=1))
    both = ingest(store, [tmp_path])
    assert [file.already_ingested for file in both.files] == [False, True]
    packed.write_bytes(gzip.compress(path.read_bytes(), 1, mtime=2))
    assert ingest(store, [packed]).already_ingested
    packed.write_bytes(gzip.compress(log(path, 1, 9).read_bytes()))
    with pytest.raises(InputError, match="other content"):
        ingest(store, [packed])


def test_one_place_has_many_names(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = log(tmp_path / "a.csv", 1, 2)
    (tmp_path / "link.csv").symlink_to(path)
    ingest(store, [tmp_path / "link.csv"])
    log(path, 3, 4)
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "./a.csv", "link.csv", f"../{tmp_path.name}/a.csv"):
        with pytest.raises(InputError, match="other content"):
            ingest(store, [Path(name)])
    path.rename(tmp_path / "b.csv")
    ingest(store, [tmp_path / "b.csv"])
    assert ingest(store, [log(tmp_path / "copy.csv", 3, 4)]).already_ingested


@pytest.mark.parametrize("rotated", ["click.csv.1", "click.csv-20261120"])
def test_rotated_logs_are_counted_once_each(store: Store, tmp_path: Path, rotated: str) -> None:
    path = log(tmp_path / "click.csv", 1, 2)
    ingest(store, [path])
    log(path, 1, 2, 3).rename(tmp_path / rotated)
    log(path, 7)
    taken = ingest(store, [tmp_path], options=ROTATING)
    assert not taken.failed
    assert n_clicks(store) == 4
    assert ingest(store, [tmp_path], options=ROTATING).already_ingested
    log(path, 7, 8)
    ingest(store, [tmp_path], options=ROTATING)
    assert n_clicks(store) == 5


def test_a_log_under_a_used_name_can_be_added(store: Store, tmp_path: Path) -> None:
    ingest(store, [log(tmp_path / "a.csv", 1, 2)])
    ingest(store, [log(tmp_path / "a.csv", 3)], options=ADD)
    assert n_clicks(store) == 3


@pytest.mark.parametrize("packed", [False, True])
def test_ingests_of_stores_from_before_are_recognised(store: Store, tmp_path: Path, packed: bool) -> None:
    path = log(tmp_path / "a.csv", 1, 2)
    data = gzip.compress(path.read_bytes()) if packed else path.read_bytes()
    old = tmp_path / ("old.csv.gz" if packed else "old.csv")
    old.write_bytes(data)
    ingest(store, [old])
    fields = ingest(store, [old]).files[0].mapping
    with store.transaction() as cursor:
        cursor.execute("DELETE FROM ingest_file")
        raw = hashlib.sha256(data).hexdigest()
        cursor.execute("UPDATE ingest SET content_hash = ?", [_hash_of(raw, "relative", fields)])
    copy = old.rename(tmp_path / old.name.replace("old", "copy"))
    assert ingest(store, [copy]).already_ingested
    grown = log(path, 1, 2, 3).rename(tmp_path / "old.csv")
    with pytest.raises(InputError, match=r"newer version|other content"):
        ingest(store, [grown])


def test_an_upload_is_known_by_its_name(store: Store, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    uploaded = Options(uploaded=True)
    ingest(store, [log(tmp_path / "one" / "a.csv", 1)], options=uploaded)
    with pytest.raises(InputError, match="other content"):
        ingest(store, [log(tmp_path / "two" / "a.csv", 2)], options=uploaded)


def test_a_file_that_is_written_to_is_not_taken_in(store: Store, tmp_path: Path) -> None:
    path = log(tmp_path / "a.csv", *range(30))
    told: list[float] = []

    def write_on(done: float) -> None:
        if not told:
            with path.open("a") as file:
                file.write(text_of([("", "b", 9)]).splitlines()[1] + "\n")
        told.append(done)

    with pytest.raises(InputError, match="was written to while it was read"):
        ingest(store, [path], progress=write_on)
    assert n_clicks(store) == 0


@given(
    data=st.binary(max_size=200),
    lengths=st.lists(st.integers(1, 220), max_size=6),
    cuts=st.lists(st.integers(0, 200), max_size=5),
)
def test_beginnings_are_hashed_however_the_bytes_come(data: bytes, lengths: list[int], cuts: list[int]) -> None:
    content = Content(lengths)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut <= len(data))})
    for start, end in itertools.pairwise(edges):
        content.add(data[start:end])
    assert content.digest == hashlib.sha256(data).hexdigest()
    assert content.beginnings == {n: hashlib.sha256(data[:n]).hexdigest() for n in set(lengths) if n <= len(data)}


clicks = st.lists(st.tuples(st.sampled_from(["", "", "c1", "c2", "c3"]), st.sampled_from("ab"), st.integers(0, 2)), min_size=1, max_size=4)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("ingest"), st.sampled_from(["x.csv", "y.csv"]), clicks, st.sampled_from(get_args(KnownPath)), st.booleans()),
        st.tuples(st.just("undo"), st.integers(0, 5)),
    ),
    min_size=1,
    max_size=7,
)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(steps=steps)
def test_any_sequence_leaves_what_the_slow_twin_has(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    folder, slow = tmp_path_factory.mktemp("sequence"), SlowStore()
    with Store(folder / "s.duckdb") as store:
        check_sequence(store, folder, slow, steps)


def check_sequence(store: Store, folder: Path, slow: SlowStore, steps: list[Any]) -> None:
    """Does each step to both and compares them: counts, digests, banners."""
    for step in steps:
        if step[0] == "ingest":
            _, name, rows, choice, is_grown = step
            path = folder / name
            text = (path.read_text() if is_grown and path.exists() else HEADER) + text_of(rows).removeprefix(HEADER)
            path.write_text(text)
            every = [tuple(line.split(",")) for line in text.splitlines()[1:]]
            parsed = [(line[0], line[1], int(float(line[5]) * 40)) for line in every]
            expected = slow.ingest(name, text, parsed, choice)
            try:
                done = ingest(store, [path], options=Options(known=choice, allow_rejects=True)).files[0]
                became = "known" if done.already_ingested else "taken" if done.accepted else "nothing"
            except InputError:
                became = "refused"
            assert became == expected
            if became == "nothing":  # it stands as an account only; the twin has no such thing
                undo.undo(store, done.ingest_id, "t")
        elif slow.ingests:
            index = step[1] % len(slow.ingests)
            there = [row for row in reversed(undo.ingests(store)) if row["state"] == "in the store"]
            assert undo.undo(store, there[index]["ingest_id"], "t").n_clicks == sum(slow.ingests[index].counts.values())
            slow.undo(index)
        assert counts(store) == slow.counts
        assert store.rows("SELECT count(*) AS n FROM click_seen")[0]["n"] == len(slow.ids)
        assert {row["banner_id"] for row in store.rows("SELECT banner_id FROM banner")} == {banner for banner, _ in slow.counts}


@pytest.mark.lakes
def test_a_sequence_on_every_engine(store: Store, tmp_path: Path) -> None:
    first: list[Click] = [("c1", "a", 1), ("", "b", 2)]
    second: list[Click] = [("c1", "a", 1), ("c2", "a", 2)]
    steps = [
        ("ingest", "x.csv", first, "refuse", False),
        ("ingest", "y.csv", second, "refuse", False),
        ("ingest", "x.csv", [("", "c", 0)], "replace", True),
        ("undo", 1),
        ("ingest", "y.csv", [("c9", "a", 0)], "add", False),
        ("undo", 0),
        ("undo", 0),
    ]
    check_sequence(store, tmp_path, SlowStore(), steps)
