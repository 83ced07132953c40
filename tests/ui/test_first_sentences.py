"""The first sentence of every page says what the store holds: small stores of which one knows the answer."""

import re

import pytest

from core.review import labels, triage, triage_queue
from core.review.triage_queue import QueueFilter
from core.store import Store
from core.store.queries import runs
from core.ui.session import state
from tests.ui.conftest import Open
from tests.ui.label.test_page import as_ana
from tests.ui.test_pages import plain

Said = list[tuple[int, str, str]]
"""(banner, label, reviewer): banners by their number in the order of their ids."""


def store() -> Store:
    return state.store()


def run_id() -> str:
    return str(runs.finished_runs(store())[0]["run_id"])


def ids(n: int = 40) -> list[str]:
    return [r["banner_id"] for r in store().rows("SELECT banner_id FROM result ORDER BY banner_id DESC LIMIT ?", [n])]


def say(said: Said) -> None:
    names = ids()
    for k, label, reviewer in said:
        labels.label(store(), names[k], label, reviewer, blind=True)


BOTH = [(k, "ok" if k % 2 else "broken", who) for k in range(6) for who in ("ben", "cleo")]


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ([], "0 of 40 labelled today; no banner has a second reading yet."),
        ([(0, "ok", "ana")], "1 of 40 labelled today; no banner has a second reading yet."),
        ([(0, "ok", "ana"), (1, "ok", "ben")], "1 of 40 labelled today; no banner has a second reading yet."),
        ([(0, "ok", "ben"), (0, "ok", "cleo")], "0 of 40 labelled today; 1 banner has a second reading, none of yours yet."),
        ([*BOTH, (9, "ok", "ana")], "1 of 40 labelled today; 6 banners have a second reading, none of yours yet."),
        (
            [(0, "ok", "ana"), (0, "ok", "ben")],
            "1 of 40 labelled today; 1 banner of yours was read by another reviewer too, where every label is the same: "
            "too little for a kappa.",
        ),
        (
            [*BOTH, *((k, label, "ana") for k, label, who in BOTH if who == "ben")],
            r"6 of 40 labelled today · kappa with ben 1\.00.* on 6 banners",
        ),
    ],
)
def test_label_says_which_second_readings_there_are(full: Open, said: Said, line: str) -> None:
    app = full("label")
    say(said)
    app = as_ana(app)
    words = plain(app.subheader[0].value)
    assert words == line or re.fullmatch(line, words), words


def test_label_learns_of_a_second_reading_at_once(full: Open) -> None:
    app = full("label")
    say([(0, "ok", "ana"), (1, "broken", "ana")])
    assert "no banner has a second reading yet" in as_ana(app).subheader[0].value
    say([(0, "ok", "ben"), (1, "broken", "ben")])
    app.run()
    assert "no banner has a second reading" not in app.subheader[0].value


@pytest.mark.parametrize(
    ("said", "decided", "line"),
    [
        ([], [], "Reviewers differ on no banner."),
        ([(0, "ok", "ben"), (0, "ok", "cleo")], [], "Reviewers differ on no banner."),
        ([(0, "ok", "ben"), (0, "broken", "cleo")], [], "Reviewers differ on 1 banner; 0 decided."),
        ([(0, "ok", "ben"), (0, "broken", "cleo")], [0], "The one disagreement is decided."),
        ([(k, who, who) for k in range(2) for who in ("ok", "broken")], [0, 1], "All 2 disagreements are decided."),
        ([(k, who, who) for k in range(2) for who in ("ok", "broken")], [0], "Reviewers differ on 1 banner; 1 decided."),
        ([(0, "ok", "ben")], [0], "Reviewers differ on no banner."),
    ],
)
def test_disagreements_count_those_that_there_were(full: Open, said: Said, decided: list[int], line: str) -> None:
    app = full("label", part="Disagreements")
    say(said)
    for k in decided:
        labels.adjudicate(store(), ids()[k], "ok", "dan")
    app.run()
    assert plain(app.subheader[0].value) == line


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ([], "No banner is labelled yet."),
        ([(0, "ok", "ben")], "1 reviewer, 1 label; no banner has two readers yet."),
        ([(0, "ok", "ben"), (1, "ok", "cleo")], "2 reviewers, 2 labels; no banner has two readers yet."),
        (
            [(0, "ok", "ben"), (0, "ok", "cleo")],
            "2 reviewers, 2 labels; 1 banner with two readers, all of one label: too little to say how far they agree.",
        ),
        (BOTH, r"2 reviewers, 12 labels; Krippendorff's alpha 1\.00.* on 6 banners with two readers\."),
    ],
)
def test_reviewers_are_counted(full: Open, said: Said, line: str) -> None:
    app = full("label", part="Reviewers")
    say(said)
    app.run()
    words = plain(app.subheader[0].value)
    assert words == line or re.fullmatch(line, words), words


def test_readings_that_were_not_blind_are_not_denied(full: Open) -> None:
    app = full("label", part="Reviewers")
    for reviewer in ("ben", "cleo"):
        labels.label(store(), ids()[0], "ok", reviewer, blind=False)
    app.run()
    assert "1 banner with two readers" in plain(app.subheader[0].value)
    app.toggle(key="only_blind").set_value(True).run()
    assert "no banner has two blind readers yet" in plain(app.subheader[0].value)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ([], "A threshold is learned from labels, and there is none yet."),
        ([(0, "unsure", "ben")], "1 banner is labelled, none of use for a threshold here: 1 unsure."),
        (
            [(0, "ok", "ben"), (0, "broken", "cleo"), (1, "unsure", "ben")],
            "2 banners are labelled, none of use for a threshold here: 1 disputed, 1 unsure.",
        ),
    ],
)
def test_calibrate_says_why_there_is_nothing_to_learn_from(full: Open, said: Said, line: str) -> None:
    app = full("calibrate")
    say(said)
    app.run()
    assert plain(app.subheader[0].value) == line


def test_calibrate_does_not_deny_labels_of_other_banners(full: Open) -> None:
    app = full("calibrate")
    with store().transaction() as cursor:
        columns = "ingest_id, 'later' AS banner_id, grid_id, n_products, domain"
        cursor.execute(f"INSERT INTO banner BY NAME SELECT {columns} FROM banner LIMIT 1")
    labels.label(store(), "later", "broken", "ben", blind=True)
    app.run()
    assert plain(app.subheader[0].value) == "1 banner is labelled, none of use for a threshold here: 1 not in this run."


def test_overview_counts_flagged_banners(full: Open) -> None:
    n, k = store_counts(full)
    words = plain(full("overview", least="0").subheader[0].value)
    assert re.match(rf"{k} of {n} banners look broken \({100 * k / n:.1f} %", words), words


def store_counts(full: Open) -> tuple[int, int]:
    full("overview")
    row = store().rows("SELECT count(*) AS n, count(*) FILTER (flagged) AS k FROM result")[0]
    return int(row["n"]), int(row["k"])


def test_triage_counts_what_is_left_in_each_state(full: Open) -> None:
    _, k = store_counts(full)
    flagged = list(triage_queue.seen(store(), run_id(), triage_queue.standing(store(), run_id(), QueueFilter(status="all"))))
    triage.decide(store(), run_id(), flagged[:3], "confirm", "ana")
    triage.decide(store(), run_id(), flagged[3:5], "snooze", "ana")
    for status, n in (("open", k - 5), ("confirmed", 3), ("snoozed", 2), ("dismissed", 0), ("all", k)):
        words = plain(full("triage", status=status).subheader[0].value)
        assert words.startswith(f"{n} flagged banner"), (status, words)


def test_banner_says_flagged_or_not_or_unknown(full: Open) -> None:
    full("banner")
    flagged = store().rows("SELECT banner_id, sentence FROM result WHERE flagged AND banner_id LIKE 'bn%' ORDER BY 1 LIMIT 1")[0]
    whole = store().rows("SELECT banner_id FROM result WHERE NOT flagged AND banner_id LIKE 'bn%' ORDER BY 1 LIMIT 1")[0]["banner_id"]
    assert plain(full("banner", banner=flagged["banner_id"]).subheader[0].value).startswith(flagged["sentence"].rstrip("."))
    assert whole in plain(full("banner", banner=whole).subheader[0].value)
    assert plain(full("banner", banner="nowhere").subheader[0].value) == "There is no banner “nowhere” in this store."
    with store().transaction() as cursor:
        columns = "ingest_id, 'later' AS banner_id, grid_id, n_products, domain"
        cursor.execute(f"INSERT INTO banner BY NAME SELECT {columns} FROM banner LIMIT 1")
    assert plain(full("banner", banner="later").subheader[0].value) == "later was not scored in this run."


def test_data_names_the_last_ingest_and_run(full: Open, empty: Open) -> None:
    words = plain(empty("data").subheader[0].value)
    assert words == "Nothing was ingested yet: name a click log below."


def test_data_counts_clicks_and_banners(full: Open) -> None:
    app = full("data")
    last = store().rows("SELECT n_accepted, n_rejected, n_rows FROM ingest")[0]
    words = plain(app.subheader[0].value)
    assert f"{last['n_accepted']:,} clicks, {100 * last['n_rejected'] / last['n_rows']:.1f} % rejected" in words
    assert "400 banners in 21 s" in words
    with store().transaction() as cursor:
        for table in ("run_event", "run_info"):
            cursor.execute(f"DELETE FROM {table}")
    assert "nothing is scored yet" in plain(full("data").subheader[0].value)


def test_detectors_says_what_they_cost_and_who_leads(full: Open) -> None:
    app = full("detectors")
    n = store().rows("SELECT count(*) AS n, sum(fit_s + score_s) AS s FROM run_detector")[0]
    assert plain(app.subheader[0].value).startswith(f"{n['n']} detectors took {n['s']:,.0f} s for 400 banners")
    rows = store().rows("SELECT banner_id, flagged FROM result ORDER BY flagged DESC, banner_id")
    for row in [*rows[:12], *rows[-12:]]:
        labels.label(store(), row["banner_id"], "broken" if row["flagged"] else "ok", "ben", blind=True)
    assert " leads with average precision " in plain(full("detectors").subheader[0].value)
