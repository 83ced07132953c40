"""Writes as each role, through the functions that the pages use, and the pages as each role sees them."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit import config
from streamlit.testing.v1 import AppTest

from core.calibration import publish, verdicts
from core.calibration.learn import Labels
from core.calibration.publish import Preview
from core.calibration.publish import Request as CalibrationRequest
from core.clicks.job import IngestRequest
from core.embeddings.request import MapRequest
from core.jobs import running as jobs
from core.models.audit.request import AuditRequest
from core.models.latent.request import LatentRequest
from core.models.selection.request import SelectionRequest
from core.models.training.request import TrainRequest
from core.review import triage_queue
from core.review.claims import Item
from core.review.triage_queue import QueueFilter
from core.runs.request import Request
from core.store import Store
from core.store.queries import runs
from core.store.queries.selections import Selection
from core.ui.session import state, writes
from core.ui.session.kinds import ACTIONS, KINDS
from core.ui.session.roles import Action
from tests.support.stores import filled_store
from tests.support.unscored_store import use_fake_worker
from tests.ui.conftest import Open

ROLES = ["viewer", "analyst", "reviewer", "admin"]


class Upload:
    """What `st.file_uploader` hands over."""

    name, size, file_id = "../clicks.csv", 3, "f"

    def getbuffer(self) -> bytes:
        return b"a,b"


def run_id() -> str:
    return str(runs.finished_runs(state.store())[0]["run_id"])


def flagged(k: int) -> str:
    return str(
        triage_queue.page(state.store(), run_id(), triage_queue.standing(state.store(), run_id(), QueueFilter(status="all")))[k][
            "banner_id"
        ]
    )


def absent() -> list[Path]:
    return [state.store().path.with_name("absent.csv")]


def never_shown() -> Item:
    return Item(str(uuid.uuid4()), flagged(1), "ana@example.org", run_id(), 333346, 1, "mixed", "uncertain", False, None, 0)


def seen() -> Preview:
    shown = runs.finished_runs(state.store())[0]
    with state.store().cursor() as cursor:
        scored, before = verdicts.read_scored(cursor, shown["scored_id"]), verdicts.flags_of(cursor, shown["run_id"])
    rows = np.arange(0, len(scored.flagged), 2)
    return publish.preview(scored, before, Labels(rows, scored.flagged[rows], scored.grid_id[rows]), CalibrationRequest())


WRITES: dict[str, tuple[str, Callable[[], Any]]] = {
    "decide": ("analyst", lambda: writes.decide(run_id(), {flagged(0): None}, "confirm", days=7, note=None)),
    "undo_decision": ("analyst", lambda: writes.undo_decision(None)),
    "publish": ("reviewer", lambda: writes.publish(seen(), "more labels")),
    "roll_back": ("admin", lambda: writes.roll_back(0, "as it was", active=1)),
    "label": ("reviewer", lambda: writes.label(flagged(1), "broken", blind=True)),
    "adjudicate": ("reviewer", lambda: writes.adjudicate(flagged(1), "ok")),
    "show_next": ("reviewer", lambda: writes.show_next(run_id(), "mixed", grid=None)),
    "show_again": ("reviewer", lambda: writes.show_again(run_id(), flagged(1), "mixed")),
    "skip": ("reviewer", lambda: writes.skip(never_shown())),
    "release": ("reviewer", lambda: writes.release(never_shown())),
    "undo_review": ("reviewer", lambda: writes.undo_review(str(uuid.uuid4()))),
    "use_model": ("admin", lambda: writes.use_model(Selection({"selection_id": None}, [], [], None), None)),
    "discard_weights": ("admin", lambda: writes.discard_weights("ssad_clicks")),
    "keep_upload": ("admin", lambda: writes.keep_upload(Upload())),
    "ingest": ("admin", lambda: writes.ingest(absent(), {}, owned=False)),
    "save_mapping": ("admin", lambda: writes.save_mapping("nightly", ["creative"], {"banner_id": "creative"})),
    "undo_ingest": ("admin", lambda: writes.undo_ingest("none", "")),
    "back_up": ("admin", lambda: writes.back_up(state.store().path.with_name("copy.duckdb"))),
}
"""Each write with the least role that may do it; what fails for another reason than the role fails after the check."""
REQUESTS: dict[str, Callable[[], Any]] = {
    "run": Request,
    "ingest": lambda: IngestRequest(absent()),
    "map": lambda: MapRequest(run_id(), "no such feature", "pca"),
    "audit": lambda: AuditRequest(str(uuid.uuid4())),
    "selection": lambda: SelectionRequest(str(uuid.uuid4())),
    "training": lambda: TrainRequest("no such network"),
    "latent": lambda: LatentRequest(str(uuid.uuid4()), flagged(0)),
}
LEAST: dict[Action, str] = {"score": "admin", "ingest": "admin", "train": "admin", "map": "analyst"}
for _kind in KINDS:
    _least = LEAST[ACTIONS[_kind.name]]
    WRITES |= {
        f"start {_kind.name}": (_least, lambda kind=_kind: writes.start(kind, REQUESTS[kind.name]())),
        f"cancel {_kind.name}": (_least, lambda kind=_kind: writes.cancel(kind, "none")),
        f"dismiss {_kind.name}": (_least, lambda kind=_kind: writes.dismiss(kind, None)),
    }


def secrets(**listed: str) -> dict[str, Any]:
    return {"auth": {"client_id": "heatproof"}, "heatproof": {"roles": listed}}


def signed_in(app: AppTest, role: str | None, email: str = "ana@example.org") -> AppTest:
    """The test's browser as somebody with a role from their claim, or as nobody."""
    app.secrets = secrets()
    app.user = {"is_logged_in": False}
    if role is not None:
        app.user = {"is_logged_in": True, "iat": int(time.time()), "email": email, "email_verified": True, "roles": [role]}
    return app


def post() -> None:
    """A page of one write; its name comes with the session."""
    import streamlit as st

    from core.errors import ForbiddenError, HeatproofError
    from tests.ui.session.test_writes import WRITES

    st.session_state["outcome"] = "done"
    try:
        WRITES[st.session_state["write"]][1]()
    except ForbiddenError as error:
        st.session_state["outcome"] = f"refused: {error}"
    except HeatproofError as error:
        st.session_state["outcome"] = f"failed: {error}"


def counts(store: Store) -> dict[str, int]:
    return {name: n for name, n in store.info()["rows"].items() if name != "refusal"}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    path = tmp_path / "writes.duckdb"
    filled_store(path, 120).close()
    monkeypatch.setenv("HEATPROOF_STORE", str(path))
    use_fake_worker(monkeypatch)
    return state.store()


def test_every_write_of_the_pages_is_posted_here() -> None:
    theirs = {name for name, value in vars(writes).items() if callable(value) and getattr(value, "__module__", "") == writes.__name__}
    assert {name for name in theirs if not name.startswith("_")} - {"allowed", "button"} == {name.split()[0] for name in WRITES}


@pytest.mark.parametrize("role", [None, *ROLES])
def test_writes_above_ones_role_are_refused_and_kept(store: Store, role: str | None) -> None:
    rank = ROLES.index(role) if role else -1
    for name, (least, _) in WRITES.items():
        before, n_refused = counts(store), len(store.rows("FROM refusal"))
        app = signed_in(AppTest.from_function(post, default_timeout=30), role)
        app.session_state["write"] = name
        app.session_state["author"] = "somebody else"
        app.run()
        assert not app.exception
        outcome = str(app.session_state["outcome"])
        if rank >= ROLES.index(least):
            assert not outcome.startswith("refused"), name
            assert len(store.rows("FROM refusal")) == n_refused
        else:
            assert outcome.startswith("refused"), name
            assert f"needs the role {least}: " in outcome
            assert counts(store) == before
            kept = store.rows("FROM refusal ORDER BY refusal_id DESC LIMIT 1")[0]
            assert (kept["name"], kept["role"]) == ("ana@example.org" if role else "", role)
    ended(store)
    beside = {path.name for path in store.path.parent.iterdir()}
    assert ("copy.duckdb" in beside, "writes.uploads" in beside) == (role == "admin", role == "admin")
    assert not (store.path.parent / "clicks.csv").exists()
    authors = {row["author"] for row in store.rows("SELECT author FROM triage_event UNION ALL SELECT reviewer FROM label_event")}
    assert authors == ({"ana@example.org"} if rank >= 1 else set()), "nobody names themselves"


def ended(store: Store) -> None:
    """Waits for what the admin's writes began."""
    for job in jobs.all_current(store).values():
        job.wait(20)


def buttons(app: AppTest) -> dict[str, bool]:
    """Whether each button of a page is disabled."""
    return {str(b.key): b.disabled for b in app.button}


def as_role(app: AppTest, role: str | None) -> AppTest:
    return signed_in(app, role).run()


def test_a_viewer_sees_everything_and_its_buttons_say_why_not(full: Open) -> None:
    app = as_role(full("triage"), "viewer")
    assert not app.exception
    there = buttons(app)
    closed = {key for key, is_disabled in there.items() if is_disabled}
    assert {key for key in there if key.startswith(("confirm_", "dismiss_", "snooze_", "all_", "undo"))} <= closed
    assert "open_banner" not in closed
    confirm = next(b for b in app.button if str(b.key).startswith("confirm_"))
    assert confirm.help == (
        "Deciding about flagged banners needs the role analyst: ana@example.org has the role viewer. "
        "Ask an admin of this dashboard for that role."
    )
    assert any("ana@example.org" in c.value.replace("\\", "") and "viewer" in c.value for c in app.sidebar.caption)
    assert not [t for t in app.sidebar.text_input if t.key == "author"], "nobody names themselves"


def test_an_analyst_decides_under_the_address_they_signed_in_with(full: Open) -> None:
    app = as_role(full("triage"), "analyst")
    confirm = next(b for b in app.button if str(b.key).startswith("confirm_"))
    assert not confirm.disabled
    signed_in(app, "analyst")
    confirm.click().run()
    assert state.store().rows("SELECT author, op FROM triage_event") == [{"author": "ana@example.org", "op": "confirm"}]


def test_only_an_admin_feeds_the_store_and_sees_previews_of_files(full: Open, tmp_path: Path) -> None:
    log = tmp_path / "private.csv"
    log.write_text("banner_id,grid_id,n_products,domain,click_x_rel,click_y_rel,clicked_at\nhush,5,1,s.example,0.5,0.5,2026-11-01\n")
    for role, is_shown in (("reviewer", False), ("admin", True)):
        app = signed_in(full("data", tab="Ingest"), role)
        app.session_state["path"] = str(log)
        app.run()
        assert not app.exception
        assert any("hush" in frame.value.to_string() for frame in app.dataframe) == is_shown
        assert ("ingest" in buttons(app)) == is_shown
        app = full("data", tab="Store")
        assert buttons(as_role(app, role))["back_up"] == (not is_shown)


def test_nobody_is_asked_to_sign_in_and_sees_nothing(full: Open) -> None:
    app = as_role(full("triage"), None)
    assert [s.value for s in app.subheader] == ["Sign in to see this dashboard."]
    assert buttons(app) == {"sign_in_default": False}
    assert not app.sidebar.caption


def test_an_old_sign_in_is_none(full: Open) -> None:
    app = signed_in(full("triage"), "admin")
    app.user["iat"] -= 13 * 3600
    app.run()
    assert [s.value for s in app.subheader] == ["Sign in to see this dashboard."]
    assert any("lasts 12 hours" in m.value for m in app.markdown)


def test_several_providers_have_a_button_each(full: Open) -> None:
    app = full("triage")
    signed_in(app, None).secrets["auth"] = {"okta": {"client_id": "a"}, "entra": {"client_id": "b"}, "client_kwargs": {"prompt": "login"}}
    app.run()
    assert set(buttons(app)) == {"sign_in_okta", "sign_in_entra"}


def test_half_a_configuration_lets_nobody_in(full: Open) -> None:
    app = full("triage")
    signed_in(app, "admin").secrets["heatproof"] = {"roles": {"ana@example.org": "boss"}}
    app.run()
    assert "gives 'boss'" in app.error[0].value.replace("\\", "")
    assert not app.subheader
    signed_in(app, None).secrets["auth"] = {}
    app.run()
    assert "has no client_id" in app.error[0].value.replace("\\", "")


def test_secrets_that_cannot_be_read_let_nobody_in(full: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "secrets.toml"
    broken.write_text("[auth\n")
    use_secrets(monkeypatch, broken)
    app = full("triage")
    assert "Secrets are readable TOML" in app.error[0].value
    assert not app.subheader
    broken.unlink()
    assert full("triage").subheader


def use_secrets(monkeypatch: pytest.MonkeyPatch, *files: Path) -> None:
    """Streamlit looks for its secrets in these files."""
    option = st.get_option
    for module in (st, config):
        monkeypatch.setattr(module, "get_option", lambda key: [str(f) for f in files] if key == "secrets.files" else option(key))


def test_the_local_user_is_an_admin_and_is_told_so(full: Open) -> None:
    app = full("data", tab="Store")
    assert not buttons(app)["back_up"]
    assert any(c.value == "Local user · admin" for c in app.sidebar.caption)


@pytest.mark.parametrize(
    ("address", "headers", "is_local"),
    [
        ("127.0.0.1", {"Host": "localhost:8501"}, True),
        ("localhost", {"Host": "127.0.0.1:8501"}, True),
        ("::1", {"Host": "[::1]:8501"}, True),
        ("0.0.0.0", {"Host": "localhost:8501"}, False),
        (None, {"Host": "localhost:8501"}, False),
        ("192.168.1.7", {"Host": "localhost"}, False),
        ("unix:///run/heatproof.sock", {"Host": "localhost"}, False),
        ("127.0.0.1", {"Host": "dashboard.example.org"}, False),
        ("127.0.0.1", {"Host": "127.0.0.1.example.org:80"}, False),
        ("127.0.0.1", {"Host": "localhost", "X-Forwarded-For": "192.168.1.7"}, False),
    ],
)
def test_where_others_can_reach_it_everybody_only_looks(
    full: Open, monkeypatch: pytest.MonkeyPatch, address: str | None, headers: dict[str, str], is_local: bool
) -> None:
    option = st.get_option
    monkeypatch.setattr(st, "get_option", lambda key: address if key == "server.address" else option(key))
    monkeypatch.setattr(type(st.context), "headers", property(lambda _: headers))
    app = full("triage")
    assert not app.exception
    confirm = next(b for b in app.button if str(b.key).startswith("confirm_"))
    assert confirm.disabled != is_local
    if not is_local:
        assert "has no sign-in" in confirm.help
        assert "Put [auth] into .streamlit/secrets.toml" in confirm.help
        assert any("Viewing only" in c.value for c in app.sidebar.caption)
