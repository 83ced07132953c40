"""Uploads are kept by content and name, under a name that every file system takes, whatever they are called."""

from pathlib import Path

import pytest

from core.clicks import uploads
from core.clicks.ingest import ingest
from core.store import Store

HEADER = "banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at\n"


def log(banner: str) -> bytes:
    return f"{HEADER}{banner},1,1,s.example,.5,.5,2026-11-01T00:00:00Z\n".encode()


NAMES = [
    "clicks.csv", "Clicks.CSV", "täglich 2026–11.csv", "点击.csv", "a/b/c.csv", "..\\..\\evil.csv", "../../../etc/passwd",
    "x" * 300 + ".csv",
    "...", ".", "..", "", " ", "\n.csv", "two\nlines.csv", "😀.csv", "CON", "nul.csv", "-rf.csv", "a\0b.csv", "name.txt", "upload.part",
    "half \udc80.csv", "*?<>|:\".csv", "glob[1].csv", "{a}.csv", "x.csv.gz", ".csv", "%s%n.csv", "' OR 1=1 --.csv", "~root.csv",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_any_kind_is_kept_and_shown(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "s.uploads"
    path = uploads.keep(folder, name, log("b"))
    assert path.parent.parent == folder
    assert path.read_bytes() == log("b")
    assert len(path.name) <= 120
    assert path.name.isascii()
    assert path.name.isprintable()
    assert uploads.name_of(path) == (name.encode("utf-8", "surrogatepass").decode("utf-8", "replace") or "upload")
    assert uploads.keep(folder, name, log("b")) == path
    uploads.remove(path)
    assert not list(folder.iterdir())


def test_all_names_and_contents_stand_side_by_side(tmp_path: Path) -> None:
    kept = {uploads.keep(tmp_path / "s.uploads", name, log(banner)) for name in NAMES for banner in ("b1", "b2")}
    assert len(kept) == 2 * len(NAMES)


def test_a_second_upload_of_the_same_name_and_size_is_taken(tmp_path: Path) -> None:
    with Store(tmp_path / "s.duckdb") as store:
        folder = store.path.with_suffix(".uploads")
        first, second = (uploads.keep(folder, "clicks\n.csv", log(banner)) for banner in ("b1", "b2"))
        assert first != second
        done = ingest(store, [first, second])
        assert done.accepted == 2
        assert {row["banner_id"] for row in store.rows("FROM banner")} == {"b1", "b2"}
        assert {row["source"] for row in store.rows("FROM ingest")} == {"clicks\n.csv"}
        uploads.remove(first)
        assert second.exists()


def test_a_file_of_ones_own_keeps_its_name_and_its_neighbours(tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_bytes(log("b"))
    (tmp_path / "name.txt").write_text("not ours")
    assert (uploads.name_of(own), uploads.recorded(own)) == ("own.csv", str(own))
