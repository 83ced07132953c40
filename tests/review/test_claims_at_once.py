"""Twenty reviewers at once through the functions that the page uses, and the server killed in the middle."""

import os
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.review import claims, labels
from core.store import Store
from tests.review.test_labelling_queue import run_of
from tests.support.stores import filled_store
from tests.support.unscored_store import ROOT

N_REVIEWERS = 20


def work(store: Store, run_id: str, reviewer: str, n: int) -> list[claims.Item]:
    """What the page does, n times: claim, label; every fifth answer is sent twice, every tenth is taken back and given again."""
    items = []
    for k in range(n):
        item = claims.next_item(store, run_id, reviewer)
        assert item is not None
        for _ in range(1 + (k % 5 == 0)):
            labels.label(store, item.banner_id, "ok", reviewer, blind=True, seconds=1.0, run_id=run_id, batch_id=item.batch_id)
        if k % 10 == 9:
            undone = claims.undo(store, reviewer)
            assert undone == claims.Undone("label", item.banner_id, "ok")
            item = claims.again(store, run_id, reviewer, item.banner_id, beside=True)
            labels.label(store, item.banner_id, "broken", reviewer, blind=False, run_id=run_id, batch_id=item.batch_id)
        items.append(item)
    return items


@pytest.mark.slow
def test_two_thousand_labels_of_twenty_reviewers(tmp_path: Path) -> None:
    store = filled_store(tmp_path / "s.duckdb", 1700)
    run_id, names = run_of(store), [f"reviewer{k:02d}" for k in range(N_REVIEWERS)]
    with ThreadPoolExecutor(N_REVIEWERS) as pool:
        done = list(pool.map(lambda name: work(store, run_id, name, 100), names))
    held = {(row["banner_id"], row["reviewer"]): row["label"] for row in labels.current(store)}
    answers = {(item.banner_id, item.reviewer): item for items in done for item in items}
    again = {key for key, item in answers.items() if item.reason == "again"}
    assert held == {key: "broken" if key in again else "ok" for key in answers}
    fresh = Counter(item.banner_id for items in done for item in items if item.reason not in ("second", "retest", "again"))
    assert set(fresh.values()) == {1}, "a first reading is one reviewer's alone"
    events = store.rows("SELECT op, count(*) AS n FROM label_event GROUP BY op ORDER BY op")
    assert {row["op"]: row["n"] for row in events} == {"label": 20 * 110, "undo": 20 * 10}
    joined = store.rows("SELECT count(*) AS n FROM shown s JOIN label_event l USING (batch_id, banner_id, reviewer)")
    assert joined[0]["n"] == 20 * 110
    readers = Counter(banner for banner, _ in held)
    thrice = {banner for banner, n in readers.items() if n > 2}
    assert thrice <= {banner for banner, _ in again}, "a third reader comes only where a second one took it back for a moment"
    share = sum(item.control for items in done for item in items) / 2000
    assert 0.08 <= share <= 0.12
    store.close()


SERVER = """
import sys, threading
from core.review import claims, labels
from core.store import Store
store, run_id = Store(sys.argv[1]), sys.argv[2]
said = threading.Lock()
def work(name):
    while True:
        item = claims.next_item(store, run_id, name)
        if item is None:
            return
        event = labels.label(store, item.banner_id, "ok", name, blind=True, run_id=run_id, batch_id=item.batch_id)
        with said:
            print(event.event_id, item.batch_id, flush=True)
threads = [threading.Thread(target=work, args=(f"reviewer{k}",)) for k in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()  # an interpreter that is on its way out imports no more
"""


def serve(path: Path, run_id: str, n: int) -> list[str]:
    """Starts the server, kills it with -9 once it acknowledged n labels; returns what it had acknowledged by then."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(path), run_id], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(n)]
    process.send_signal(signal.SIGKILL)
    acknowledged += process.stdout.read().split("\n")[:-1]
    process.wait()
    process.stdout.close()
    return acknowledged


@pytest.mark.slow
def test_what_was_acknowledged_outlives_the_server(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    with filled_store(path, 2500) as store:
        run_id = run_of(store)
    acknowledged: list[str] = []
    for n in (1200, 800):  # killed, started on what was left, killed again
        acknowledged += serve(path, run_id, n)
        with Store(path) as store:
            written = [
                f"{row['event']} {row['batch']}"
                for row in store.rows("SELECT event_id::VARCHAR AS event, batch_id::VARCHAR AS batch FROM label_event")
            ]
            assert len(written) == len(set(written))
            assert set(acknowledged) <= set(written)
            assert len(store.rows("SELECT DISTINCT batch_id FROM label_event")) == len(written)
            first = store.rows(
                "SELECT banner_id FROM shown WHERE reason NOT IN ('second', 'retest') GROUP BY banner_id HAVING count(*) > 1"
            )
            assert len(first) <= 20, "only what was on a screen when the server died is shown anew, and not before its claim ran out"
    assert len(acknowledged) >= 2000
