"""Model selection on the Detectors page: nothing yet, one in work, a report with and without labels, the choice for runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.jobs import running as jobs
from core.logs.strict_json import to_json
from core.models.selection import job as model_selection
from core.models.selection.job import SELECTION
from core.store.queries import runs, selections
from core.ui.detectors import model_selection_chart
from core.ui.render import palette
from core.ui.session import state
from tests.support import fake_child
from tests.support.fake_child import until
from tests.ui.conftest import Open
from tests.ui.detectors.test_page import table
from tests.ui.test_pages import plain, texts

NAMES = ("cutout small", "cutout mixed", "cutpaste<b> large")
AUC = ([0.8, 0.75, 0.85], [0.9, 0.86, 0.93], [0.96, 0.94, 0.98])


def keep(*, labelled: bool = True) -> None:
    """A selection in the store, as the worker's end leaves it."""
    candidates = [
        {
            "name": name,
            "mixed": "mixed" in name,
            "discordance": 0.6,
            "separability": 0.1 * k,
            "dsv": 0.5 - 0.2 * k,
            "auc": AUC[k] if labelled else None,
            "by_family": {"hot_spot": 0.9, "edge": 0.5 + 0.1 * k} if labelled else {},
            "detector": "ssad_cutout",
            "fields": {"area": [0.1, 0.2]},
        }
        for k, name in enumerate(NAMES)
    ]
    selectors = [
        {"name": name, "says": f"says of {name}", "chosen": chosen, "values": [0.0] * 3} for name, chosen in (("dsv", 2), ("mc", 0))
    ]
    report = {"candidates": candidates, "selectors": selectors, "ensemble": [0.97, 0.95, 0.99] if labelled else None}
    store = state.store()
    about = {
        "run_id": runs.finished_runs(store)[0]["scored_id"],
        "finished_at": "2026-11-20",
        "ratio": 0.05,
        "n_train": 1500,
        "n_test": 1400,
        "n_broken": 40 if labelled else 0,
        "n_ok": 60 if labelled else 0,
        "seconds": 75.0,
        "settings": to_json({}),
        "report": json.dumps(report),
    }
    with store.transaction() as cursor:
        model_selection.insert(cursor, about)


def words(app: AppTest) -> str:
    return plain(texts(app))


def button(app: AppTest, key: str) -> Any:
    return next((b for b in app.button if b.key == key), None)


def test_it_is_started_with_an_assumed_share_watched_and_stopped(full: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_child.use(SELECTION, tmp_path, monkeypatch, "say(0.25, 'training cutout mixed (3 of 12)')", "time.sleep(60)")
    monkeypatch.setattr(SELECTION, "share", (0.0, 1.0))
    app = full("detectors")
    assert not app.exception
    assert "Which augmentation suits these banners?" in words(app)
    assert button(app, "use_model") is None
    next(n for n in app.number_input if n.key == "assumed_ratio").set_value(8.0)
    button(app, "select_start").click().run()
    assert not app.exception
    job: Any = jobs.current(state.store(), SELECTION)
    assert job.request.ratio == pytest.approx(0.08)
    until(lambda: job.done == 0.25)
    app.run()
    progress = [p.proto for p in app.get("progress")]
    assert [p.value for p in progress] == [25]
    assert "training cutout mixed (3 of 12) · 25 %" in plain(progress[0].text)
    assert button(app, "select_start") is None, "one at a time"
    button(app, "cancel_selection").click().run()
    assert job.is_cancelled
    assert job.wait(20)
    app.run()
    assert [plain(w.value) for w in app.warning] == [job.error]
    button(app, "forget_selection").click().run()
    assert jobs.current(state.store(), SELECTION) is None


def test_the_report_says_who_takes_whom_and_what_labels_say(full: Open) -> None:
    full("detectors")
    keep()
    app = full("detectors")
    assert not app.exception
    said = words(app)
    assert "Without labels, DSV takes cutpaste<b> large: ROC-AUC 0.960, where the candidates reach 0.800 to 0.960." in said
    assert "Rank correlation of alignment and ROC-AUC over 3 candidates: 1.00" in said
    assert "of them broken" in said
    assert "ROC-AUC on 40 broken and 60 ok labels" in said
    rows = table(app, "selectors")
    assert rows[0] == ["selector", "takes", "ROC-AUC"]
    assert rows[1][:2] == ["dsv|says of dsv", "cutpaste<b> large"]
    assert rows[2][:2] == ["mc|says of mc", "cutout small"]
    assert rows[3][0].startswith("avg|")
    assert rows[3][2].startswith("0.887")
    assert rows[4][2].startswith("0.970")
    rows = table(app, "contenders")
    assert rows[0][-2:] == ["hot spot", "edge"]
    assert [r[0] for r in rows[1:]] == list(NAMES)
    assert [r[4] for r in rows[1:]] == ["mc", "", "dsv"]
    assert [r[-1] for r in rows[1:]] == ["0.50", "0.60", "0.70"]


def test_without_labels_it_chooses_and_says_what_is_missing(full: Open) -> None:
    full("detectors")
    keep(labelled=False)
    app = full("detectors")
    assert not app.exception
    said = words(app)
    assert "Without labels, DSV takes cutpaste<b> large." in said
    assert "with eight banners labelled broken and eight ok" in said
    assert "ROC-AUC on" not in said
    assert table(app, "selectors")[1][2] == "–"


def test_the_selected_model_is_used_in_runs_and_taken_out_again(full: Open) -> None:
    full("detectors")
    keep()
    app = full("detectors")
    button(app, "use_model").click().run()
    assert not app.exception
    choice = selections.in_use(state.store())
    assert choice is not None
    assert (choice.candidate, choice.fields) == (NAMES[2], {"area": [0.1, 0.2]})
    assert "Runs take cutpaste<b> large as" in words(app)
    button(app, "drop_model").click().run()
    assert selections.in_use(state.store()) is None
    assert "Runs take" not in words(app)
    assert button(app, "drop_model") is None


def test_marks_differ_by_shape_too_and_the_chosen_one_is_named() -> None:
    rows = [
        {"name": name, "mixed": "mixed" in name, "dsv": -0.1 * k, "auc": AUC[k]} for k, name in enumerate((*NAMES[:2], "cutpaste large"))
    ]
    rows.append({"name": "cutpaste learned", "mixed": False, "dsv": 0.3, "auc": AUC[0]})
    for dark, theme in ((False, palette.LIGHT), (True, palette.DARK)):
        drawn = model_selection_chart.aligned(rows, 2, theme, dark)
        first, second = drawn["data"]
        assert first["marker"]["symbol"] == ["circle", "circle-open"]
        assert second["marker"]["symbol"] == ["square", "star"]
        assert first["marker"]["color"] != second["marker"]["color"]
        assert first["error_y"]["array"] == pytest.approx([0.05, 0.03])
        assert first["error_y"]["arrayminus"] == pytest.approx([0.05, 0.04])
        assert "DSV takes cutpaste large" in drawn["layout"]["annotations"][0]["text"]
