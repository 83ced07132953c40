"""What the store says of detectors beside labels: flags as of `evaluate`, labels as people left them."""

from typing import Any

import numpy as np
import pytest

from core.calibration import publish, verdicts
from core.calibration.learn import Labels
from core.calibration.publish import Request
from core.review import labels
from core.statistics.p_values import benjamini_hochberg
from core.store import Store
from core.store.queries import detectors, runs
from tests.conftest import Filled


@pytest.fixture
def store(filled: Filled) -> Store:
    """A scored store of 300 banners."""
    return filled(300)


def shown(store: Store) -> str:
    return str(runs.finished_runs(store)[0]["run_id"])


def scores_of(store: Store, name: str) -> dict[str, tuple[float, float]]:
    rows = store.rows("SELECT banner_id, normalised, p_value FROM score WHERE detector = ? ORDER BY banner_id", [name])
    return {r["banner_id"]: (r["normalised"], r["p_value"]) for r in rows}


def own_flags(store: Store, name: str) -> set[str]:
    """Banners that a detector flags, by the same procedure as `evaluate`."""
    found = scores_of(store, name)
    flags = benjamini_hochberg(np.array([p for _, p in found.values()]), 0.1)
    return {banner for banner, is_flagged in zip(found, flags, strict=True) if is_flagged}


def say(store: Store, k: int, label: str, reviewer: str = "ana", **about: Any) -> str:
    """Labels the k-th banner of the run."""
    banner_id = str(store.rows("SELECT banner_id FROM result ORDER BY position LIMIT 1 OFFSET ?", [k])[0]["banner_id"])
    labels.label(store, banner_id, label, reviewer, blind=True, **about)
    return banner_id


@pytest.mark.lakes
def test_cuts_are_those_of_benjamini_hochberg(store: Store) -> None:
    with store.transaction() as cursor:
        cursor.execute("UPDATE score SET p_value = 0.5 WHERE detector = 'kl_divergence'")
        cursor.execute("UPDATE score SET p_value = round(p_value, 2) WHERE detector = 'multinomial'")  # many ties
    found = detectors.cuts(store, shown(store))
    assert list(found) == ["chi_squared", "multinomial", "kl_divergence", "likelihood_ratio"], "by family, then by name"
    for name, cut in found.items():
        assert cut.n_flagged == len(own_flags(store, name))
    assert np.isnan(found["kl_divergence"].p_value)
    assert found["kl_divergence"].n_flagged == 0 < found["multinomial"].n_flagged


def test_labels_are_read_as_people_left_them(store: Store) -> None:
    broken = say(store, 0, "broken", fault="edge")
    say(store, 0, "broken", "ben")
    plain, ok = say(store, 1, "broken"), say(store, 290, "ok")
    say(store, 3, "unsure")
    say(store, 4, "broken")
    say(store, 4, "ok", "ben")
    say(store, 280, "ok")
    labels.undo(store, "ana")
    found = detectors.labelled(store, shown(store), detectors.cuts(store, shown(store)))
    assert found.banner_id.tolist() == sorted([broken, plain, ok])
    kinds = dict(zip(found.banner_id, zip(found.broken.tolist(), found.fault, strict=True), strict=True))
    diagnosed = store.rows("SELECT fault FROM result WHERE banner_id = ?", [plain])[0]["fault"]
    assert kinds == {broken: (True, "edge"), plain: (True, diagnosed), ok: (False, None)}
    assert detectors.used(store, shown(store)) == {
        "n_reviewers": 2, "n_broken": 2, "n_ok": 1, "n_unsure": 1, "n_disputed": 1, "n_elsewhere": 0,
    }  # fmt: skip
    assert not found.at_random.any()


def test_scores_and_flags_stand_in_their_places(store: Store) -> None:
    for k in range(0, 300, 3):
        say(store, k, "broken" if k < 30 else "ok")
    with store.transaction() as cursor:
        cursor.execute("DELETE FROM score WHERE detector = 'multinomial' AND hash(banner_id) % 2 = 0")
    found = detectors.labelled(store, shown(store), detectors.cuts(store, shown(store)))
    assert found.names[0] == "combined"
    for k, name in enumerate(found.names[1:], start=1):
        wanted, flags = scores_of(store, name), own_flags(store, name)
        for row, banner_id in enumerate(found.banner_id):
            if banner_id in wanted:
                assert found.scores[row, k] == wanted[banner_id][0]
                assert found.flagged[row, k] == (banner_id in flags)
            else:
                assert np.isnan(found.scores[row, k])
                assert not found.flagged[row, k]
    run = {r["banner_id"]: r["flagged"] for r in store.rows("SELECT banner_id, flagged FROM result")}
    assert found.flagged[:, 0].tolist() == [run[b] for b in found.banner_id]
    assert found.take(found.broken).broken.all()


def test_a_version_in_force_stands_beside_the_run_s_own_word(store: Store) -> None:
    for k in range(0, 300, 2):
        say(store, k, "broken" if store.rows("SELECT flagged FROM result WHERE position = ?", [k + 1])[0]["flagged"] else "ok")
    before = shown(store)
    with store.cursor() as cursor:
        scored, flags = verdicts.read_scored(cursor, before), verdicts.flags_of(cursor, before)
    rows = np.arange(0, 300, 2)
    seen = publish.preview(scored, flags, Labels(rows, scored.flagged[rows], scored.grid_id[rows]), Request())
    publish.publish(store, seen, "ana", "labels")
    after = shown(store)
    assert after != before
    found = detectors.labelled(store, after, detectors.cuts(store, after))
    assert found.names[:2] == ("combined", "combined without labels")
    own = {r["banner_id"]: r["combined"] for r in store.rows("SELECT banner_id, combined FROM result WHERE run_id = ?", [before])}
    assert found.scores[:, 1].tolist() == [own[b] for b in found.banner_id]
    assert found.scores[:, 0].tolist() != found.scores[:, 1].tolist()


def test_the_sample_holds_everybody_where_there_is_room(store: Store) -> None:
    cut = detectors.cuts(store, shown(store))
    whole, part = detectors.sample(store, shown(store), cut), detectors.sample(store, shown(store), cut, n=100)
    assert whole.scores.shape == (300, 4)
    assert {name: int(flags.sum()) for name, flags in zip(whole.names, whole.flagged.T, strict=True)} == {
        name: c.n_flagged for name, c in cut.items()
    }
    assert 40 < len(part.scores) < 130
    rows = {tuple(row) for row in whole.scores}
    assert all(tuple(row) in rows for row in part.scores)


def test_who_is_found_by_one_alone(store: Store) -> None:
    with store.transaction() as cursor:
        for name, banner_id in (("multinomial", "bn-000200"), ("chi_squared", "bn-000201")):
            cursor.execute("UPDATE score SET p_value = 0.9 WHERE banner_id = ?", [banner_id])
            cursor.execute("UPDATE score SET p_value = 1e-9 WHERE banner_id = ? AND detector = ?", [banner_id, name])
    found = {(r["banner_id"], r["detector"]) for r in detectors.alone(store, shown(store), detectors.cuts(store, shown(store)))}
    flags = {name: own_flags(store, name) for name in detectors.cuts(store, shown(store))}
    wanted = {
        (banner_id, name)
        for name, own in flags.items()
        for banner_id in own - set().union(*(theirs for other, theirs in flags.items() if other != name))
    }
    assert found == wanted
    assert {("bn-000200", "multinomial"), ("bn-000201", "chi_squared")} <= found
