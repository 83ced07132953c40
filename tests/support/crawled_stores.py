"""The four stores that the crawler looks at: without a row, with clicks only, with a run, and with everything that people add to one."""

from pathlib import Path

from core.calibration import publish
from core.calibration.publish import Request
from core.review import labels, triage
from core.store import Store
from core.store.queries import runs
from tests.support.maps import add_cosines, add_map
from tests.support.stores import filled_store
from tests.support.unscored_store import fill
from tests.ui.calibrate.test_page import add_labels

NAMES = ("empty", "unscored", "scored", "labelled")
N_BANNERS = 160


def make(name: str, path: Path) -> None:
    """Makes one of `NAMES` at a path."""
    if name in ("empty", "unscored"):
        with Store(path) as store:
            if name == "unscored":
                fill(store, 20)
        return
    with filled_store(path, N_BANNERS, hostile=True) as store:
        add_map(store)
        add_cosines(store)
        if name == "labelled":
            _review(store)


def _review(store: Store) -> None:
    """Labels of two reviewers who differ on one banner, decisions of every kind, and a published threshold version."""
    add_labels(store, 60)
    add_labels(store, 20, reviewer="ben")
    rows = store.rows("SELECT banner_id, run_id FROM result WHERE flagged ORDER BY position")
    names, run_id = [row["banner_id"] for row in rows], rows[0]["run_id"]
    labels.label(store, names[0], "broken", "ana", blind=True, fault="edge")
    labels.label(store, names[0], "ok", "ben", blind=True)
    triage.decide(store, run_id, names[:2], "confirm", "ana")
    triage.decide(store, run_id, names[2:4], "dismiss", "ana")
    triage.decide(store, run_id, names[4:5], "snooze", "ben", days=3)
    publish.publish(store, publish.prepare(store, Request()), "first labels", "ana")
    assert runs.finished_runs(store)
