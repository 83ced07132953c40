"""Importing labels onto banners that others labelled otherwise: said with name and time, and kept beside theirs on request only."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.__main__ import app
from core.errors import ChangedError
from core.review import labels
from core.review.label_files import export_labels, import_labels
from core.store import Store
from tests.support.unscored_store import fill

HEAD = "banner_id,label,reviewer,labelled_at,op"
EARLY, LATE = "2020-10-20T10:00:00Z", "2020-10-21T10:00:00Z"


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store(tmp_path / "s.duckdb") as opened:
        fill(opened)
        yield opened


def file(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "l.csv"
    path.write_text("\n".join([HEAD, *lines]) + "\n")
    return path


@pytest.mark.parametrize("op", ["label", "adjudicate"])
@pytest.mark.parametrize("before", ["label", "adjudicate"])
def test_a_differing_row_needs_the_option(store: Store, tmp_path: Path, before: str, op: str) -> None:
    import_labels(store, file(tmp_path, f"bn0001,ok,ana,{LATE},{before}", f"bn0002,ok,ana,{LATE},{before}"))
    path = file(tmp_path, f"bn0001,broken,ben,{EARLY},{op}", f"bn0002,broken,ben,{EARLY},{op}", f"bn0003,ok,ben,{EARLY},{op}")
    n = store.info()["rows"]["label_event"]
    if (before, op) == ("label", "adjudicate"):
        assert import_labels(store, path).readings == []
        return
    with pytest.raises(
        ChangedError, match=r"ana .* bn000[12] .* ago, and l\.csv says otherwise of it, and 1 more.*--add-readings"
    ) as caught:
        import_labels(store, path)
    assert {change.author for change in caught.value.changes} == {"ana"}
    assert "ok" not in str(caught.value).split()
    assert store.info()["rows"]["label_event"] == n
    done = import_labels(store, path, add_readings=True)
    assert (done.added, {reading.about for reading in done.readings}) == (3, {"bn0001", "bn0002"})
    assert store.info()["rows"]["label_event"] == n + 3
    assert import_labels(store, path).known == 3


@pytest.mark.parametrize("row", ["bn0001,ok,ben", "bn0001,broken,ana", "bn0002,broken,ben"], ids=["same", "own", "another banner"])
def test_what_needs_no_option(store: Store, tmp_path: Path, row: str) -> None:
    labels.label(store, "bn0001", "ok", "ana", blind=True)
    assert import_labels(store, file(tmp_path, f"{row},{EARLY},label")).readings == []


def test_a_label_that_was_taken_back_is_no_other_reading(store: Store, tmp_path: Path) -> None:
    labels.label(store, "bn0001", "ok", "ana", blind=True)
    labels.undo(store, "ana")
    assert import_labels(store, file(tmp_path, f"bn0001,broken,ben,{EARLY},label")).added == 1


def test_disputes_within_one_file_move_to_another_store(store: Store, tmp_path: Path) -> None:
    import_labels(store, file(tmp_path, f"bn0001,ok,ana,{EARLY},label", f"bn0001,broken,ben,{LATE},label"))
    export_labels(store, tmp_path / "x.csv")
    assert import_labels(store, tmp_path / "x.csv").known == 2


def test_the_verb_refuses_with_two_and_lists_what_it_added(store: Store, tmp_path: Path) -> None:
    labels.label(store, "bn0001", "ok", "ana", blind=True)
    path = file(tmp_path, f"bn0001,broken,ben,{EARLY},label")
    store.close()
    words = ["labels", "import", str(path), "--store", str(store.path)]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    assert "--add-readings" in refused.stderr
    done = CliRunner().invoke(app, [*words, "--add-readings"])
    assert done.exit_code == 0
    assert "ana" in done.stdout
