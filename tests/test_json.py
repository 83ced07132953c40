"""Every verb with --json prints one strict JSON object whatever happens, and every number that an option takes is refused by a message."""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from core.__main__ import app
from core.logs.strict_json import to_json
from core.review.label_files import import_labels
from core.store import Store
from tests.support.stores import filled_store
from tests.support.unscored_store import fill, use_fake_worker


def strict(text: str) -> Any:
    """What a parser reads that knows no NaN."""
    return json.loads(text, parse_constant=lambda token: pytest.fail(f"{token} is no JSON"))


def verbs(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every verb of the command line, with its parameters."""
    command = typer.main.get_command(app) if command is None else command
    for name, verb in getattr(command, "commands", {}).items():
        yield from verbs(verb, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


VERBS = dict(verbs())
NUMBERS = [
    (path, option)
    for path, verb in VERBS.items()
    for option in verb.params
    if {int, float} & {option.type_descriptor.annotation, *get_args(option.type_descriptor.annotation)}
]


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with filled_store(tmp_path / "s.duckdb", 60, hostile=True):
        pass
    return tmp_path / "s.duckdb"


def test_values_that_json_lacks() -> None:
    @dataclass
    class Found:
        cut: float
        where: Path

    value = {
        1: float("nan"), "a": [np.inf, -np.inf, np.float32("nan"), np.float64(0.5), np.int64(7), np.bool_(True), True, None],
        "b": np.array([[1.0, np.nan]]), "c": Found(np.inf, Path("x")), "d": (date(2026, 12, 1), {3}), "e": "half \udc80",
        None: uuid.UUID(int=0),
    }  # fmt: skip
    assert strict(to_json(value)) == {
        "1": None, "a": [None, None, None, 0.5, 7, True, True, None], "b": [[1.0, None]], "c": {"cut": None, "where": "x"},
        "d": ["2026-12-01", [3]], "e": "half ���", "None": "00000000-0000-0000-0000-000000000000",
    }  # fmt: skip


def test_every_verb_has_json() -> None:
    assert [path for path, verb in VERBS.items() if not any("--json" in option.opts for option in verb.params)] == []


GIVEN: dict[tuple[str, ...], Callable[[Path], list[object]]] = {
    ("prune",): lambda tmp: ["--keep-days", 3],
    ("restore",): lambda tmp: [tmp / "b.duckdb"],
    ("ingest",): lambda tmp: [tmp / "clicks.csv"],
    ("evaluate",): lambda tmp: ["--truth", tmp / "truth.csv"],
    ("export", "scores"): lambda tmp: [tmp / "scores.csv"],
    ("backup",): lambda tmp: [tmp / "another.duckdb"],
    ("labels", "import"): lambda tmp: [tmp / "labels.csv"],
    ("labels", "export"): lambda tmp: [tmp / "out.csv"],
    ("versions", "rollback"): lambda tmp: [0, "--reason", "x"],
    ("store", "copy"): lambda tmp: [tmp / "s.duckdb", tmp / "copied.duckdb"],
    ("train",): lambda tmp: ["nosuch"],
}
"""What a verb needs to be tried with."""
COSTLY = {("demo",), ("select",), ("audit",), ("embed",)}
"""Verbs that work for seconds: only their errors are looked at here."""


@pytest.fixture
def files(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_fake_worker(monkeypatch)
    monkeypatch.chdir(tmp_path)
    header = "banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at\n"
    (tmp_path / "clicks.csv").write_text(header + "new,333346,1,s.example,.5,.5,2026-11-01T00:00:00Z\nnew,333346,1,s.example,nan,inf,1\n")
    (tmp_path / "truth.csv").write_text("banner_id,broken\nbn-000001,1\nbn-000002,0\n")
    (tmp_path / "labels.csv").write_text("banner_id,label,reviewer,labelled_at\nbn-000001,ok,ana,2026-11-25T10:00:00Z\nbn-1,maybe,ana,x\n")
    assert invoke("backup", tmp_path / "b.duckdb", "--store", path).exit_code == 0
    return tmp_path


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in COSTLY], ids=" ".join)
def test_a_verb_prints_strict_json(verb: tuple[str, ...], files: Path, path: Path) -> None:
    where = [] if verb == ("store", "copy") else ["--store", path]
    done = invoke(*verb, *GIVEN.get(verb, lambda tmp: [])(files), *where, "--json")
    found = strict(done.stdout)
    assert isinstance(found, dict)
    assert done.exit_code == (2 if "error" in found else 0), done.output


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in {("info",), ("demo",), ("train",)}], ids=" ".join)
def test_an_error_is_json_too(verb: tuple[str, ...], tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere.duckdb"
    (tmp_path / "truth.csv").write_text("banner_id,broken\nb,1\n")
    given = [*GIVEN.get(verb, lambda tmp: [])(tmp_path), "--store", nowhere]
    if verb == ("store", "copy"):
        given = [nowhere, tmp_path / "x.duckdb"]
    done = invoke(*verb, *given, "--json")
    assert (done.exit_code, "error" in strict(done.stdout)) == (2, True), done.output
    assert strict(invoke(*verb, "--nosuch", "--json").stdout)["error"]


HUGE = ["-1", "0", "-9223372036854775809", "9223372036854775808", "1" + "0" * 400, "1e400", "nan", "inf", "-inf", "1e-320", "x", ""]


@pytest.mark.parametrize(("verb", "option"), NUMBERS, ids=lambda found: " ".join(found) if isinstance(found, tuple) else found.name)
def test_numbers_out_of_range_are_refused_with_a_message(verb: tuple[str, ...], option: Any, files: Path, path: Path) -> None:
    if verb in {("demo",), ("train",), ("select",)} and not option.opts[0].startswith(("--seed", "--steps", "--assumed")):
        pytest.skip("nothing else of it is a number")
    for value in HUGE:
        named = [value] if option.param_type_name == "argument" else [f"{option.opts[0]}={value}"]
        given = [*named, "--reason", "x"] if verb == ("versions", "rollback") else [*GIVEN.get(verb, lambda tmp: [])(files), *named]
        costly = verb in COSTLY and value == "0"
        where = files / "notes.txt" if costly else path
        if costly:
            where.write_text("no store: what is a fine number ends here")
        tiers = ["--cascade", "--from", "2030-01-01"] if verb == ("score",) else []  # a budget that is fine ends at an empty window
        done = invoke(*verb, *tiers, *given, "--store", where, "--json")
        assert done.exit_code in (0, 2), (value, done.output, done.exception)
        assert not done.exception or isinstance(done.exception, SystemExit), (value, done.exception)
        assert isinstance(strict(done.stdout or "{}"), dict), value
        if done.exit_code == 2:
            assert "Traceback" not in done.stderr
            assert done.stderr.strip()


@pytest.mark.parametrize("grid", ["9223372036854775808", "-9223372036854775809", "9" * 500, "1²", "--5"])
def test_grid_ids_are_64_bits(grid: str, path: Path) -> None:
    done = invoke("score", f"--grid={grid}", "--store", path, "--json")
    assert done.exit_code == 2
    assert "grid_id" in strict(done.stdout)["error"]


def test_labels_of_odd_times_are_rejected_with_their_reason(tmp_path: Path) -> None:
    odd = ["10000-01-01T00:00:00Z", "99999-01-01", "0000-01-01T00:00:00Z", "-0044-03-15T12:00:00Z", "0001-01-01T00:00:00+14:00",
           "9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59Z", "2026-02-30", "2026-13-01", "2026-11-25T25:00:00Z", "2026-11-25T10:61:00Z",
           "1764064800", "nan", "now", "2026-11-25T10:00:00+99:00", "٢٠٢٦-١١-٢٥", "1" * 400]  # fmt: skip
    file = tmp_path / "labels.csv"
    rows = "".join(f"bn0001,ok,ana,{at}\n" for at in odd)
    file.write_text(f"banner_id,label,reviewer,labelled_at\n{rows}bn0001,ok,ana,0001-01-01T00:00:00Z\nbn0002,ok,ana,2026-11-25\n")
    with Store(tmp_path / "s.duckdb") as store:
        fill(store)
        done = import_labels(store, file)
        assert (done.added, len(done.rejected)) == (2, len(odd))
        assert set(done.reasons) == {"labelled_at unreadable", "labelled_at in the future"}
        assert [reject.line for reject in done.rejected] == list(range(2, 2 + len(odd)))
        assert len(store.rows("FROM label_current")) == 2
    assert strict(invoke("labels", "import", file, "--store", tmp_path / "s.duckdb", "--json").stdout)["n_rejected"] == len(odd)


@pytest.mark.parametrize(("method", "words"), [("fdr", "30 labels ok cannot show 10 % false alarms among 80 banners"), ("f1", None)])
def test_labels_that_cannot_show_a_share_say_so(method: str, words: str | None, tmp_path: Path) -> None:
    with filled_store(tmp_path / "s.duckdb", 80) as store:
        names = [row["banner_id"] for row in store.rows("SELECT banner_id FROM result WHERE NOT flagged ORDER BY p_broken LIMIT 30")]
    rows = "".join(f"{name},ok,ana,2026-11-25T10:00:00Z\n" for name in names)
    (tmp_path / "ok.csv").write_text(f"banner_id,label,reviewer,labelled_at\n{rows}")
    assert invoke("labels", "import", tmp_path / "ok.csv", "--store", tmp_path / "s.duckdb").exit_code == 0
    done = invoke("calibrate", "--method", method, "--store", tmp_path / "s.duckdb", "--json")
    found = strict(done.stdout)
    assert done.exit_code == 0, done.output
    if words is not None:
        assert words in found["note"]
        assert found["cut"] is None
        assert words in invoke("calibrate", "--method", method, "--store", tmp_path / "s.duckdb").stdout
    assert found["request"]["method"] == method
