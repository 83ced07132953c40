"""A backup is proved before it counts, replaces whatever is in its place, and a kill at any moment leaves one of the two stores."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from core.errors import InputError, StoreBusyError, StoreError
from core.review import labels
from core.store import Store, clock, putting_back
from core.store.backup import backup, read_tables, restore
from core.store.putting_back import log_of, part_of, plan_of
from tests.support.unscored_store import ROOT, fill

LABEL_AND_DIE = """
import os, signal, sys
from core.review import labels
from core.store import Store
store = Store(sys.argv[1])
for i in range(20):
    labels.label(store, f"bn{i:04d}", "ok", "ana", blind=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
RESTORE_AND_DIE = """
import os, pathlib, signal, sys
from core.store import backup, putting_back
left = int(sys.argv[3])
def step(real):
    def counted(*args, **more):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **more)
    return counted
for name in ("rename", "replace", "unlink", "write_text"):
    setattr(pathlib.Path, name, step(getattr(pathlib.Path, name)))
putting_back._sync = step(putting_back._sync)
backup.restore(pathlib.Path(sys.argv[1]), sys.argv[2])
print("done")
"""


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store whose process was killed after 20 labels, which stand in its log; its backup, bk.duckdb, has none of them."""
    path = tmp_path / "s.duckdb"
    with Store(path) as store:
        fill(store)
        backup(store, tmp_path / "bk.duckdb")
    assert python(LABEL_AND_DIE, path).returncode == -signal.SIGKILL
    assert log_of(path).exists()
    return path


def n_labels(path: Path) -> int:
    with Store(path, create=False) as store:
        return int(store.rows("SELECT count(*) AS n FROM label_event")[0]["n"])


def spoil(file: Path, at: float = 0.5, n: int = 200) -> None:
    data = bytearray(file.read_bytes())
    first = int(len(data) * at)
    data[first : first + n] = os.urandom(n)
    file.write_bytes(data)


def newer(path: Path) -> None:
    with duckdb.connect(str(path)) as con:
        con.execute("INSERT INTO migration VALUES ('m500_future', now()::TIMESTAMP)")


def replaced_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("kept")


def log_of_another(path: Path) -> None:
    other = path.with_name("other.duckdb")
    with Store(other) as store:
        fill(store)
    python(LABEL_AND_DIE, other)
    shutil.move(log_of(other), log_of(path))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "whole": lambda path: None,
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 3),
    "garbage": lambda path: path.write_bytes(os.urandom(50_000)),
    "empty": lambda path: path.write_bytes(b""),
    "missing": lambda path: (path.unlink(), log_of(path).unlink()),
    "log alone": lambda path: path.unlink(),
    "folder": replaced_by_folder,
    "damaged log": lambda path: spoil(log_of(path)),
    "log of another store": log_of_another,
    "newer version": newer,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_backup_replaces_whatever_is_there_and_keeps_it(damage: str, path: Path) -> None:
    DAMAGES[damage](path)
    files = {file.name: file.read_bytes() for file in (path, log_of(path)) if file.is_file()}
    aside = restore(path.with_name("bk.duckdb"), path)
    assert n_labels(path) == 0, "no log of another file was replayed"
    assert (aside is None) == (damage == "missing")
    if aside is not None:
        assert aside.name.startswith("s.duckdb.before-restore-2")
        kept = {file.name.replace(aside.name, path.name): file.read_bytes() for file in (aside, log_of(aside)) if file.is_file()}
        assert kept == files
    if damage == "whole":
        assert aside is not None
        assert n_labels(aside) == 20
    if damage == "folder":
        assert aside is not None
        assert (aside / "inside").read_text() == "kept"
    again = restore(path.with_name("bk.duckdb"), path)
    assert again not in (None, aside)
    left = {file.name for file in path.parent.iterdir() if file.suffix in (".part", ".restoring", ".lock", ".tmp")}
    assert not left


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "missing", "folder", "newer version", "block", "foreign"])
def test_a_damaged_backup_is_refused_and_changes_nothing(damage: str, path: Path) -> None:
    bad = path.with_name("bk.duckdb")
    if damage == "block":  # the head is whole: only reading all of it finds out
        data = bytearray(bad.read_bytes())
        for at in range(12_288 + 4096, len(data), 262_144):
            data[at : at + 1000] = bytes(1000)
        bad.write_bytes(data)
    elif damage == "foreign":
        bad.unlink()
        with duckdb.connect(str(bad)) as con:
            con.execute("CREATE TABLE t AS FROM range(5)")
    elif damage == "missing":
        bad.unlink()
    else:
        DAMAGES[damage](bad)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()}
    with pytest.raises(StoreError):
        restore(bad, path)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir() if file.is_file()} == before
    assert n_labels(path) == 20


def test_a_log_beside_a_backup_belongs_to_it(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "other" / "t.duckdb"
    restore(path, target)
    assert n_labels(target) == 20
    assert not log_of(target).exists()


def test_a_store_in_use_is_refused_by_name(path: Path, tmp_path: Path) -> None:
    with Store(path):
        with pytest.raises(StoreBusyError, match="is open in this one"):
            restore(tmp_path / "bk.duckdb", path)
        done = python("import sys, pathlib; from core.store.backup import restore; restore(pathlib.Path(sys.argv[1]), sys.argv[2])",
                      tmp_path / "bk.duckdb", path)  # fmt: skip
        assert f"held by PID {os.getpid()}" in done.stderr
    assert n_labels(path) == 20
    with pytest.raises(StoreError, match="is the store itself"):
        restore(path, path)
    with pytest.raises(InputError, match="shared store"):
        restore(tmp_path / "bk.duckdb", f"ducklake:sqlite:{tmp_path / 'x.sqlite'}")


@pytest.mark.slow
def test_a_kill_at_any_step_leaves_the_old_store_or_the_new_one(path: Path, tmp_path: Path) -> None:
    whole = {file: file.read_bytes() for file in (path, log_of(path))}
    found: list[int] = []
    for step in range(100):
        for file in tmp_path.glob("s.duckdb*"):
            file.unlink()
        for file, data in whole.items():
            file.write_bytes(data)
        done = python(RESTORE_AND_DIE, tmp_path / "bk.duckdb", path, step)
        found.append(n_labels(path))
        assert not plan_of(path).exists()
        if "done" in done.stdout:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        if found[-1] == 0:
            (aside,) = (file for file in tmp_path.glob("s.duckdb.before-restore-*") if file.suffix != ".wal")
            assert n_labels(aside) == 20
    assert set(found) == {0, 20}
    assert found == sorted(found, reverse=True), "there is one step that decides"
    assert len(found) > 8


def test_what_was_decided_is_ended_by_whoever_opens_the_store(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(putting_back, "_carry_out", lambda path: None)
    restore(tmp_path / "bk.duckdb", path)
    monkeypatch.undo()
    assert plan_of(path).exists()
    assert part_of(path).exists()
    assert n_labels(path) == 0
    assert not plan_of(path).exists()


def test_a_backup_that_fails_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.store import backup as module

    with Store(tmp_path / "s.duckdb") as store:
        fill(store)
        real = module.summed

        def lossy(cursor: duckdb.DuckDBPyConnection, name: str) -> object:
            found = real(cursor, name)
            return found._replace(n_rows=found.n_rows - 1) if name == "backup_target.banner" else found

        monkeypatch.setattr(module, "summed", lossy)
        with pytest.raises(StoreError, match="banner has 40 and 39 rows"):
            backup(store, tmp_path / "b.duckdb")
        monkeypatch.undo()
        assert not list(tmp_path.glob("b.duckdb*"))
        labels.label(store, "bn0001", "ok", "ana", blind=True)
        backup(store, tmp_path / "b.duckdb")
        with pytest.raises(StoreError, match="never overwrites"):
            backup(store, tmp_path / "b.duckdb")
    assert {t.name: t.n_rows for t in read_tables(tmp_path / "b.duckdb")}["label_event"] == 1


def test_names_that_are_taken_are_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = clock.now()
    monkeypatch.setattr(clock, "now", lambda: at)
    names = {restore(path.with_name("bk.duckdb"), path) for _ in range(3)}
    assert len(names) == 3
