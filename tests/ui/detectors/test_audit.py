"""The representation audit on the Detectors page: nothing yet, too few labels, figures, one in work."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.jobs import running as jobs
from core.logs.strict_json import to_json
from core.models.audit import job as audit_job
from core.models.audit import queries as audits
from core.models.audit.figures import Finding, advice
from core.models.audit.job import AUDIT
from core.models.audit.worker import as_row
from core.review import labels
from core.review import reviewers as drift
from core.statistics.intervals import Interval
from core.statistics.leaderboard import UNKNOWN
from core.store.queries import runs
from core.ui.detectors import audit_chart
from core.ui.render import palette
from core.ui.session import state
from tests.support import fake_child
from tests.support.fake_child import until
from tests.ui.conftest import Open
from tests.ui.detectors.test_page import table
from tests.ui.test_pages import plain, texts


def finding(name: str, score: float, oracle: float, widest: float, held: float | None = None) -> Finding:
    def span(value: float | None) -> Interval:
        return UNKNOWN if value is None else Interval(value, value - 0.004, value + 0.004)

    values = (score, oracle, widest, held, oracle - score, widest - oracle)
    return Finding(name, f"of_{name}", 64, *map(span, values))


FOUND = [finding("evidence", 0.96, 0.99, 0.985, 0.95), finding("simclr<b>", 0.9, 0.94, 0.99)]


def keep(missing: str | None = None) -> None:
    """An audit in the store, as the worker's end leaves it."""
    store = state.store()
    about = {
        "run_id": runs.finished_runs(store)[0]["scored_id"],
        "finished_at": datetime.now(UTC).replace(tzinfo=None),
        "n_broken": 40,
        "n_ok": 60,
        "n_named": 25,
        "n_families": 7,
        "advice": advice(FOUND),
        "missing": missing,
        "left_out": ["resnet50"],
        "seconds": 75.0,
        "settings": to_json({"labels_token": drift.labels_token(store)}),
    }
    with store.transaction() as cursor:
        audit_job.insert(cursor, about, [as_row(one) for one in FOUND])


def say(n: int = 14) -> None:
    store = state.store()
    rows = store.rows("SELECT banner_id, flagged FROM result ORDER BY position")
    for row in [r for r in rows if r["flagged"]][:n] + [r for r in rows if not r["flagged"]][:n]:
        labels.label(store, row["banner_id"], "broken" if row["flagged"] else "ok", "ana", blind=True)


def words(app: AppTest) -> str:
    return plain(texts(app))


def button(app: AppTest, key: str) -> Any:
    return next((b for b in app.button if b.key == key), None)


def test_without_labels_it_says_how_many_are_missing(full: Open) -> None:
    app = full("detectors")
    assert not app.exception
    assert "Would more labels help, or better features?" in words(app)
    assert "12 banners labelled broken and as many labelled ok: there are 0 and 0" in words(app)
    assert button(app, "audit_start") is None


def test_with_labels_it_can_be_started_and_stopped(full: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full("detectors")
    say()
    fake_child.use(AUDIT, tmp_path, monkeypatch, "say(0.4, 'simclr<b>: oracle on its features')", "time.sleep(60)")
    monkeypatch.setattr(AUDIT, "share", (0.0, 1.0))
    app = full("detectors")
    button(app, "audit_start").click().run()
    assert not app.exception
    job: Any = jobs.current(state.store(), AUDIT)
    assert job.request.run_id == runs.finished_runs(state.store())[0]["run_id"]
    until(lambda: job.done == 0.4)
    app.run()
    progress = [p.proto for p in app.get("progress")]
    assert [p.value for p in progress] == [40]
    assert "Audit: simclr<b>: oracle on its features · 40 %" in plain(progress[0].text)
    assert button(app, "audit_start") is None, "one at a time"
    button(app, "cancel_audit").click().run()
    assert job.is_cancelled
    assert job.wait(20)
    app.run()
    assert [plain(w.value) for w in app.warning] == [job.error]
    button(app, "forget_audit").click().run()
    assert jobs.current(state.store(), AUDIT) is None
    assert button(app, "audit_start") is not None


def test_figures_the_line_and_what_they_rest_on(full: Open) -> None:
    full("detectors")
    say()
    keep()
    app = full("detectors")
    assert not app.exception
    said = words(app)
    assert (
        "More labels would help: of_evidence reaches 0.960, the same features with labels 0.990, but only against faults"
        in said.replace("`", "")
    )
    assert "40 broken and 60 ok labels" in said
    assert "7 fault families, by diagnosis for 15 banners without a named fault" in said
    assert "Without stored features: resnet50" in said
    rows = table(app, "audit")
    assert rows[0] == ["features", "score", "oracle on z", "all classes", "held out", "not extracted", "not represented"]
    assert rows[1][0] == "evidence|64 · of_evidence"
    assert [c.split("|")[0] for c in rows[1][1:]] == [".960", ".990", ".985", ".950", "+.030", "\u2212.005"]
    assert rows[2][4] == "–", "not held out"
    assert rows[2][0].startswith("simclr<b>")
    assert "Labels have changed" not in said
    assert button(app, "audit_start").label == "Audit again"
    labels.label(state.store(), "bn-000300", "ok", "ben", blind=True)
    assert "Labels have changed since this audit." in words(full("detectors"))


def test_why_no_family_was_held_out(full: Open) -> None:
    full("detectors")
    keep("two fault families of 3 labelled banners or more; there is 1")
    app = full("detectors")
    assert not app.exception
    assert "Holding fault families out needs two fault families of 3 labelled banners or more; there is 1." in words(app)


def test_the_bars_reach_from_figure_to_figure_and_never_back() -> None:
    for dark, theme in ((False, palette.LIGHT), (True, palette.DARK)):
        drawn = audit_chart.gaps(FOUND, theme, dark)
        first, second = [t for t in drawn["data"] if t["type"] == "bar"]
        assert first["base"] == pytest.approx([0.96, 0.9])
        assert first["x"] == pytest.approx([0.03, 0.04])
        assert second["x"] == pytest.approx([0, 0.05]), "a gap below 0 has no bar"
        assert first["marker"]["color"] != second["marker"]["color"]
        assert first["marker"]["pattern"]["shape"] != second["marker"]["pattern"]["shape"]
        marks = [t for t in drawn["data"] if t["type"] == "scatter"]
        assert len({t["marker"]["symbol"] for t in marks}) == 4
        assert np.isnan(marks[-1]["x"][1])
        low, high = drawn["layout"]["xaxis"]["range"]
        assert low < 0.9 < 0.99 < high
        assert re.match(r"#|rgba", json.dumps(drawn["layout"]["paper_bgcolor"]).strip('"'))


def test_an_audit_is_read_back_as_it_was_kept(full: Open) -> None:
    full("detectors")
    keep()
    store = state.store()
    found = audits.latest(store, runs.finished_runs(store)[0]["run_id"])
    assert found is not None
    for one, other in zip(found.findings, FOUND, strict=True):
        assert as_row(one) == as_row(other)
