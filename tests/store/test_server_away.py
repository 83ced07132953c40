"""A database server that restarts: who works then is told that it is away, and nothing has to be restarted once it is back."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import StoreAwayError
from core.review import labels
from core.runs import run
from core.store import Store
from core.store.url import StoreUrl
from tests.support.lakes import Cluster, cluster
from tests.support.unscored_store import ROOT, fill, use_fake_worker

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[Cluster]:
    """A PostgreSQL of one test's own, since it is stopped."""
    with cluster() as found:
        found.sql("CREATE DATABASE heat")
        yield found


@pytest.fixture
def store(server: Cluster, tmp_path: Path) -> Iterator[Store]:
    with Store(server.url("heat", tmp_path / "files")) as store:
        fill(store)
        yield store


def test_a_run_ends_and_the_next_one_starts(store: Store, server: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch, "slow")
    handle = run.start(store)
    wait_for(lambda: handle.what.startswith("writing e"))
    server.stop()
    assert handle.wait(60)
    assert handle.state == "failed"
    assert "does not answer since" in (handle.error or "")
    server.start()
    assert [row["run_id"] for row in run.interrupted_runs(store)] == [handle.id], "its end could not be written"
    use_fake_worker(monkeypatch)
    assert run.score(store).n_banners == 40
    assert run.start(store).wait(60)


def test_a_restart_within_a_run_goes_unnoticed(store: Store, server: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_worker(monkeypatch, "slow")
    handle = run.start(store)
    wait_for(lambda: handle.what.startswith("writing s"))
    server.stop()
    server.start()
    assert handle.wait(60)
    assert handle.state == "finished"
    assert run.score(store).n_banners == 40


def test_every_way_into_the_store_tells_and_recovers(store: Store, server: Cluster) -> None:
    labels.label(store, "bn0001", "ok", "ana", blind=True)
    server.stop()
    for _ in range(2):
        for reach in (lambda: store.info(), lambda: labels.label(store, "bn0002", "ok", "ana", blind=True), lambda: run.start(store),
                      lambda: run.interrupted_runs(store), lambda: store.locks["ingest"].acquire(), lambda: Store(store.url)):  # fmt: skip
            with pytest.raises(StoreAwayError, match=r"the one at /tmp/.* does not answer since .* UTC"):
                reach()
    server.start()
    labels.label(store, "bn0002", "ok", "ana", blind=True)
    assert len(labels.current(store)) == 2


def test_a_writer_that_waits_while_the_server_stops_is_told(store: Store, server: Cluster) -> None:
    """The process survives it: a cursor of a server that is gone, closed with its transaction open, would end it."""
    with Store(store.url) as other, other.turn():
        seen: list[BaseException] = []

        def write() -> None:
            try:
                labels.label(store, "bn0001", "ok", "ana", blind=True)
            except StoreAwayError as error:
                seen.append(error)

        waiting = threading.Thread(target=write)
        waiting.start()
        time.sleep(0.5)
        server.stop()
        waiting.join(30)
        assert len(seen) == 1
        server.start()
    labels.label(store, "bn0001", "ok", "ana", blind=True)


def test_pages_say_so_and_come_back(store: Store, server: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    from streamlit.testing.v1 import AppTest

    from core.ui.session import state

    monkeypatch.setenv("HEATPROOF_STORE", str(store.url))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
    app.run()
    assert not app.error
    server.stop()
    app.run()
    assert "does not answer since" in app.error[0].value
    assert not app.exception
    server.start()
    app.run()
    assert not app.error
    state._open.clear()  # type: ignore[attr-defined]  # else this process keeps a lake whose server is gone


def test_a_command_is_told_with_status_2(store: Store, server: Cluster) -> None:
    server.stop()
    for verb in (["info"], ["score", "--json"], ["labels", "agreement"]):
        done = subprocess.run([sys.executable, "-m", "core", *verb, "--store", str(store.url)], cwd=ROOT, capture_output=True, text=True,
                              check=False)  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert "does not answer since" in done.stderr
    server.start()


@pytest.mark.parametrize(
    ("where", "host"),
    [("host=db port=5 dbname=heat", "db"), ("dbname=heat host='db 1'", "db 1"),
     ("postgresql://ana:pw@db.example:5433/heat", "db.example:5433"),

     ("dbname=heat", "this machine"), ("postgresql:///heat", "this machine"), ("hostaddr=10.0.0.7 dbname=heat", "10.0.0.7")],
)  # fmt: skip
def test_the_host_is_told_without_a_password(where: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGHOST", raising=False)
    assert StoreUrl.parse(f"ducklake:postgres:{where}{'?' if '://' in where else ' '}data_path=/srv/heat").host == host


def wait_for(true: object, within_s: float = 30) -> None:
    until = time.monotonic() + within_s
    while not true():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.01)
