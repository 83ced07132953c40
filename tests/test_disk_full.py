"""A full disk: a message with the next step, no half file left, and every acknowledged label in the store when there is room again."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import click
import pytest
import typer

from core.__main__ import app
from core.calibration import publish
from core.clicks.ingest import ingest
from core.clicks.uploads import keep
from core.embeddings.job import MAP
from core.embeddings.request import MapRequest
from core.errors import DiskFullError, HeatproofError, disk_space
from core.jobs import running as jobs
from core.models.audit.job import AUDIT
from core.models.audit.request import AuditRequest
from core.models.selection.job import SELECTION
from core.models.selection.request import SelectionRequest
from core.review import labels
from core.review.label_files import export_labels, import_labels
from core.runs import run
from core.runs.export import export_scores
from core.store import Store, copy
from core.store.backup import backup, restore
from core.store.queries import runs
from tests.support.stores import filled_store
from tests.support.unscored_store import use_fake_worker

HEADER = "banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at\n"
SIZE_MB = 24


class Disk:
    """A small disk of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._hog: IO[bytes] = (folder / "hog").open("wb", buffering=0)

    def fill(self, but_bytes: int = 0) -> None:
        """Leaves so many bytes free."""
        free = os.statvfs(self.folder)
        left = free.f_bavail * free.f_frsize - but_bytes
        block = bytes(4096)
        try:
            for _ in range(max(left, 0) // 4096):
                self._hog.write(block)
        except OSError:
            pass

    def free(self) -> None:
        """Gives all of it back."""
        self._hog.truncate(0)
        self._hog.seek(0)

    def names(self) -> set[str]:
        """All files, but the one that fills the disk."""
        return {str(file.relative_to(self.folder)) for file in self.folder.rglob("*") if file.is_file()} - {"hog"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("a small disk needs the command mount")
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    disk = Disk(folder)
    try:
        yield disk
    finally:
        disk._hog.close()
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def store(disk: Disk, tmp_path: Path) -> Iterator[Store]:
    with filled_store(disk.folder / "s.duckdb", 120) as store:
        backup(store, tmp_path / "bk.duckdb")
        labels.label(store, "bn-000001", "ok", "ana", blind=True)
        import_labels(store, label_file(tmp_path, "ben"))
        yield store


def clicks(folder: Path, n: int = 200_000) -> Path:
    file = folder / "clicks.csv"
    rows = (f"new-{i % 5000},1,1,s.example,0.{i % 97:02d},0.{i % 89:02d},2026-11-0{1 + i % 9}T00:00:00Z\n" for i in range(n))
    file.write_text(HEADER + "".join(rows))
    return file


def label_file(folder: Path, reviewer: str, n: int = 60) -> Path:
    file = folder / "labels.csv"
    rows = (f"bn-{i:06d},{'broken' if i % 3 == 0 else 'ok'},{reviewer},2026-01-01T00:00:00Z\n" for i in range(2, n))
    file.write_text("banner_id,label,reviewer,labelled_at\n" + "".join(rows))
    return file


WRITES: dict[str, Callable[[Store, Path], object]] = {
    "backup": lambda store, tmp: backup(store, store.path.with_name("copy.duckdb")),
    "export": lambda store, tmp: export_scores(store, store.path.with_name("scores.csv"), run_id=None, format="long"),
    "labels": lambda store, tmp: export_labels(store, store.path.with_name("labels.csv")),
    "ingest": lambda store, tmp: ingest(store, [clicks(tmp)]),
    "score": lambda store, tmp: run.score(store),
    "labels import": lambda store, tmp: import_labels(store, label_file(tmp, "cem")),
    "embed": lambda store, tmp: jobs.run(store, MAP, MapRequest(None, "heatmap", "pca")),
    "audit": lambda store, tmp: jobs.run(store, AUDIT, AuditRequest(None, 8)),
    "select": lambda store, tmp: jobs.run(store, SELECTION, SelectionRequest(None, 0.1, 2)),
    "calibrate": lambda store, tmp: publish.publish(store, publish.prepare(store, publish.Request()), "ana", "more room"),
    "store copy": lambda store, tmp: copy.copy(store, store.path.with_name("moved.duckdb")),
    "upload": lambda store, tmp: keep(store.path.with_suffix(".uploads"), "a.csv", bytes(1_000_000)),
}


OTHER_NAMES = {"export scores": "export", "labels export": "labels"}
OWN_TESTS = {"restore"}
READS = {"evaluate", "info", "ingests list", "versions list", "labels agreement"}
SAME_WRITES = {
    "demo": "ingests and scores",
    "ingests undo": "a transaction of the store, as a label",
    "versions rollback": "a transaction of the store, as calibrate",
    "prune": "rewrites the store in its own folder, then renames",
    "train": "writes networks beside the store",
}
"""Verbs that write and have no case of their own here, and what they write."""


def verbs(command: click.Command, before: str = "") -> Iterator[str]:
    for name, below in command.commands.items() if isinstance(command, click.Group) else ():
        yield from verbs(below, f"{before}{name} ") if isinstance(below, click.Group) else [f"{before}{name}"]


def test_no_verb_is_forgotten() -> None:
    known = {*WRITES, *OTHER_NAMES, *OWN_TESTS, *READS, *SAME_WRITES}
    assert set(verbs(typer.main.get_command(app))) <= known


@pytest.mark.parametrize("write", WRITES)
def test_a_full_disk_is_told_and_leaves_nothing(
    write: str, store: Store, disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fake_worker(monkeypatch)
    before, n_labels = disk.names(), len(labels.current(store))
    n_runs = len(runs.finished_runs(store))
    disk.fill()
    with pytest.raises(HeatproofError, match=r"Writing needs free space: .* Free some space there, then do it again\."):
        WRITES[write](store, tmp_path)
    assert disk.names() - before <= {"s.duckdb.wal"}
    disk.free()
    store.close()
    with Store(store.path) as again:
        assert len(labels.current(again)) == n_labels
        assert len(runs.finished_runs(again)) == n_runs
        WRITES[write](again, tmp_path)


def label_until_full(store: Store, reviewer: str) -> int:
    """Labels until the disk is full; returns how many were acknowledged."""
    for k in range(5000):
        try:
            labels.label(store, f"bn-{k % 60:06d}", ("ok", "broken")[k // 60 % 2], reviewer, blind=True)
        except DiskFullError:
            return k
    raise AssertionError("the disk was never full")


@pytest.mark.parametrize("engine", ["file", "sqlite"])
def test_every_acknowledged_label_is_kept(engine: str, disk: Disk) -> None:
    where = disk.folder / "l.duckdb" if engine == "file" else f"ducklake:sqlite:{disk.folder / 'l.sqlite'}"
    with filled_store(where, 60) as store:
        disk.fill(40_000)
        acknowledged = label_until_full(store, "ana") + label_until_full(store, "ben")
        disk.free()
        labels.label(store, "bn-000001", "ok", "cem", blind=True)
    with Store(where) as again:
        assert again.rows("SELECT count(*) AS n FROM label_event")[0]["n"] == acknowledged + 1


def test_a_restore_without_room_changes_nothing(store: Store, disk: Disk, tmp_path: Path) -> None:
    store.close()
    before = disk.names()
    disk.fill(100_000)
    with pytest.raises(DiskFullError):
        restore(tmp_path / "bk.duckdb", store.path)
    assert disk.names() == before
    disk.free()
    with Store(store.path) as again:
        assert len(labels.current(again)) == 59
    restore(tmp_path / "bk.duckdb", store.path)
    with Store(store.path) as again:
        assert not labels.current(again)


def test_only_a_full_disk_is_told_as_one() -> None:
    assert disk_space.full_disk(OSError(5, "Input/output error")) is None
    assert disk_space.full_disk(ValueError("x")) is None
    error = HeatproofError("A file cannot be read")
    error.__cause__ = OSError(28, "No space left on device", "/tmp/x")
    assert "the disk of /tmp/x" in str(disk_space.full_disk(error))
    with pytest.raises(ZeroDivisionError), disk_space.named():
        raise ZeroDivisionError
