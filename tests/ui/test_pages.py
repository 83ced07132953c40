"""Every page, empty and full, with hostile strings in the store."""

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.clicks import undo
from core.clicks.job import INGEST
from core.jobs import running as jobs
from core.runs.run import RUN
from core.ui.data import ingests
from core.ui.session import state
from tests.support.stores import FIRST_DAY, HOSTILE
from tests.ui.conftest import Open

PAGES = sorted(path.stem for path in (Path(__file__).parents[2] / "pages").glob("*.py"))


def texts(app: AppTest) -> str:
    return "\n".join(str(e.value) for kind in ("subheader", "markdown", "caption", "error", "info") for e in app.get(kind))


def plain(words: str) -> str:
    return words.replace("\\", "")


def current(app: AppTest) -> str:
    """The banner on the right of the queue."""
    value = app.query_params["at"]
    return value if isinstance(value, str) else value[0]


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_store_says_what_to_do(empty: Open, page: str) -> None:
    app = empty(page)
    assert not app.exception
    assert not app.error
    shown = texts(app)
    assert ("python -m core demo" in "\n".join(c.value for c in app.code)) or "ingest" in shown.lower()


@pytest.mark.parametrize("page", PAGES)
def test_a_full_store_answers_in_its_first_line(full: Open, page: str) -> None:
    app = full(page)
    assert not app.exception
    assert not app.error
    assert app.subheader, "every page begins with a sentence"


def test_the_overview_counts_what_the_store_holds(full: Open) -> None:
    app = full("overview")
    run = state.store().rows("SELECT count(*) AS n, count(*) FILTER (flagged) AS k FROM result WHERE n_clicks >= 30")[0]
    assert plain(app.subheader[0].value).startswith(f"{run['k']} of {run['n']} banners look broken")
    assert app.metric[1].value == str(run["k"])


def test_overview_filters_come_from_the_url(full: Open) -> None:
    app = full("overview", grid="333346", least="100")
    sql = "SELECT count(*) AS n FROM result WHERE n_clicks >= 100 AND grid_id = 333346"
    assert app.metric[0].value == str(state.store().rows(sql)[0]["n"])
    assert any("2 filters" in b.label for b in app.button)


def test_nonsense_in_the_url_is_ignored(full: Open) -> None:
    for page in PAGES:
        app = full(page, grid="'; DROP TABLE result; --", p="nan?", status="<b>", page="-4", at=HOSTILE, run="x", sort="1")
        assert not app.exception
        assert not app.error


def test_triage_shows_the_strongest_first_and_its_reason(full: Open) -> None:
    app = full("triage")
    n = state.store().rows("SELECT count(*) AS n FROM result WHERE flagged")[0]["n"]
    assert plain(app.subheader[0].value).startswith(f"{n} flagged banners open, about ")
    best = state.store().rows("SELECT banner_id, sentence FROM result WHERE position = 1")[0]
    assert current(app) == best["banner_id"]
    assert best["sentence"] in plain(texts(app))


def test_triage_filters_narrow_the_queue(full: Open) -> None:
    app = full("triage", grid="333346", fault="hot spot")
    sql = "SELECT count(*) AS n FROM result WHERE flagged AND grid_id = 333346 AND fault = 'hot_spot'"
    assert plain(app.subheader[0].value).startswith(f"{state.store().rows(sql)[0]['n']} flagged banner")


def test_confirm_moves_on_and_undo_comes_back(full: Open) -> None:
    app = full("triage")
    first = current(app)
    app.button(key=f"confirm_{first}").click().run()
    assert not app.exception
    second = current(app)
    assert second != first
    assert state.store().rows("SELECT state FROM triage_current WHERE banner_id = ?", [first])[0]["state"] == "confirmed"
    app.button(key="undo").click().run()
    assert current(app) == first
    assert not state.store().rows("SELECT state FROM triage_current WHERE banner_id = ?", [first])


def test_bulk_says_how_many_it_changes(full: Open) -> None:
    app = full("triage", grid="333519")
    n = state.store().rows("SELECT count(*) AS n FROM result WHERE flagged AND grid_id = 333519")[0]["n"]
    button = app.button(key="all_dismiss")
    assert button.label == f"Dismiss all {n}"
    button.click().run()
    assert state.store().rows("SELECT count(*) AS n FROM triage_current WHERE state = 'dismissed'")[0]["n"] == n
    assert plain(app.subheader[0].value).startswith("0 flagged banners open")


def test_a_decision_without_a_name_is_refused_in_words(full: Open) -> None:
    app = full("triage")
    app.text_input(key="author").set_value("   ").run()
    app.button(key=f"confirm_{current(app)}").click().run()
    assert "carries a name" in plain(app.error[0].value)
    assert state.store().rows("SELECT count(*) AS n FROM triage_event")[0]["n"] == 0


def test_the_banner_page_opens_by_its_link(full: Open) -> None:
    name = "bn-000100"
    app = full("banner", banner=name)
    assert not app.exception
    assert name in plain(texts(app))


def test_every_hostile_banner_is_shown_as_text(full: Open) -> None:
    app = full("banner")
    for row in state.store().rows("SELECT banner_id FROM result ORDER BY banner_id LIMIT 4"):
        app.text_input(key="banner").set_value(row["banner_id"]).run()
        assert not app.exception
        assert not any(e.allow_html for e in app.markdown if row["banner_id"] in e.value)
        for element in [*app.markdown, *app.subheader, *app.caption]:
            for sign in ("<script", "](javascript", ":red[", "$a$", "**b**"):
                assert not re.search(r"(?<!\\)" + re.escape(sign), element.value), "the first sign of a markup is escaped"


def test_an_unknown_banner_is_a_designed_state(full: Open) -> None:
    app = full("banner", banner="bn-0003")
    assert "There is no banner" in app.subheader[0].value
    assert any(plain(b.label).startswith("bn-0003") for b in app.button)


def test_an_unscored_banner_says_so(full: Open) -> None:
    app = full("overview")
    with state.store().transaction() as cursor:
        cursor.execute("INSERT INTO banner SELECT 'late-1', 1, 1, 'late.example', ingest_id FROM ingest")
        cursor.execute("INSERT INTO heatmap_day SELECT ingest_id, 'late-1', ?, 5, [41], [5], NULL FROM ingest", [FIRST_DAY])
    app.query_params["banner"] = "late-1"
    app.switch_page("pages/banner.py").run()
    assert not app.exception
    assert "not scored" in app.subheader[0].value
    assert "5 clicks" in texts(app)


def test_data_shows_runs_rejects_and_backs_up(full: Open, tmp_path: Path) -> None:
    app = full("data", tab="Runs")
    frame = app.dataframe[0].value
    assert set(frame["state"]) == {"finished", "failed"}
    assert "exit status 1" in " ".join(frame["message"])
    app = full("data", tab="Rejects")
    assert "coordinate empty" in set(app.dataframe[0].value["reason"])
    app = full("data", tab="Store")
    target = tmp_path / "copy.duckdb"
    app.text_input(key="backup_path").set_value(str(target)).run()
    app.button(key="back_up").click().run()
    assert not app.error
    assert target.stat().st_size > 100_000
    app.button(key="back_up").click().run()
    assert "never overwrites" in app.error[0].value


def test_a_store_in_use_is_a_message_not_a_traceback(full: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken.duckdb"
    broken.write_bytes(b"no database" * 1000)
    monkeypatch.setenv("HEATPROOF_STORE", str(broken))
    app = full("overview")
    assert not app.exception
    assert "is not a store" in plain(app.error[0].value)


def test_nothing_to_score_is_a_message(empty: Open) -> None:
    app = empty("data", tab="Runs")
    assert app.button(key="start_run").disabled
    assert jobs.current(state.store(), RUN) is None


def test_a_click_log_is_previewed_ingested_and_scored_next(empty: Open, tmp_path: Path) -> None:
    log = tmp_path / "clicks.csv"
    rows = [f"b{k % 5},7,2,=cmd.example,{(k % 40) / 40},0.5,2026-11-01T00:00:00Z" for k in range(200)] + [
        "b1,7,2,x.example,7.5,0.5,2026-11-01T00:00:00Z"
    ]
    log.write_text("\n".join(["banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at", *rows]))
    app = empty("data")
    app.text_input(key="path").set_value(str(log)).run()
    assert "200 would be accepted and 1 rejected" in plain(texts(app))
    app.button(key="ingest").click().run()
    job = jobs.current(state.store(), INGEST)
    assert job is not None
    assert job.wait(30)
    assert job.state == "finished", job.error
    app.run()
    assert "200 rows accepted, 1 rejected" in plain(app.success[0].value)
    assert app.button(key="score_next")
    app.text_input(key="path").set_value(str(log)).run()
    app.button(key="ingest").click().run()
    again = jobs.current(state.store(), INGEST)
    assert again is not None
    assert again.wait(30)
    app.run()
    assert "in the store before" in plain(app.success[0].value)


def test_a_log_without_its_columns_says_which(empty: Open, tmp_path: Path) -> None:
    log = tmp_path / "odd.csv"
    log.write_text("who,where\n1,2\n")
    app = empty("data")
    app.text_input(key="path").set_value(str(log)).run()
    assert not app.exception
    assert "A click log needs the columns" in plain(app.warning[0].value)


def test_a_path_that_is_not_there_is_a_message(empty: Open) -> None:
    app = empty("data")
    app.text_input(key="path").set_value("/nowhere/clicks.csv").run()
    assert not app.exception
    assert "does not exist" in plain(app.error[0].value)


def test_a_known_file_needs_a_choice_and_a_bad_one_says_why(empty: Open, tmp_path: Path) -> None:
    header, log = "banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at\n", tmp_path / "clicks.csv"

    def take_in(xs: list[str], choice: str | None = None) -> AppTest:
        log.write_text(header + "".join(f"b,7,2,x.example,{x},0.5,2026-11-01T00:00:00Z\n" for x in xs))
        app = empty("data")
        app.text_input(key="path").set_value(str(log)).run()
        if choice:
            app.radio(key="known_choice").set_value(choice).run()
        app.button(key="ingest").click().run()
        job = jobs.current(state.store(), INGEST)
        assert job is not None
        assert job.wait(30)
        return app.run()

    take_in(["0.5", "0.6"])
    app = take_in(["0.5", "0.6", "0.7"])
    assert "is a newer version of a file in the store" in plain(app.error[0].value)
    app = take_in(["0.5", "0.6", "0.7"], "replace")
    assert "3 rows accepted" in plain(app.success[0].value)
    app = take_in(["50", "60.5", "70.5"], "add")
    assert "are percent" in plain(app.error[0].value)
    rows = undo.ingests(state.store())
    assert [row["state"] for row in rows] == ["in the store", "taken back"]
    app = empty("data", tab="Ingests")
    assert not app.exception
    done = undo.effect(state.store(), rows[0]["ingest_id"])
    assert "removes 3 clicks on 1 banner" in ingests._words(done)
