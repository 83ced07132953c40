"""Roles, who somebody is by their claims, and that no page writes past the check."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import ForbiddenError, InputError
from core.store import Store
from core.ui.session.roles import ACTIONS, NEEDS, ROLES, Person, highest, refusal, refusals, require
from core.ui.session.sign_in import SignIn, person_of, read_settings

ROOT = Path(__file__).parents[1]
NOW = 1_800_000_000.0

ALLOWED = {
    None: set(),
    "viewer": {"look"},
    "analyst": {"look", "triage", "map"},
    "reviewer": {"look", "triage", "map", "label", "adjudicate", "publish"},
    "admin": {"look", "triage", "map", "label", "adjudicate", "publish", "roll_back", "ingest", "take_back", "score", "train", "backup"},
}


@pytest.mark.parametrize("role", ALLOWED)
def test_each_role_may_do_what_it_may_and_nothing_else(role: Any) -> None:
    person = Person("ana@example.org", role, "sign-in")
    assert {action for action in ACTIONS if refusal(person, action) is None} == ALLOWED[role]


def test_a_refusal_names_rule_role_and_next_step_and_is_kept(tmp_path: Path) -> None:
    with Store(tmp_path / "a.duckdb") as store:
        ana = Person("ana@example.org", "analyst", "sign-in")
        assert require(store, ana, "triage") is ana
        assert refusals(store) == []
        with pytest.raises(ForbiddenError) as caught:
            require(store, ana, "label", "broken bn-1")
        said = "Labelling banners needs the role reviewer: ana@example.org has the role analyst. Ask an admin of this dashboard"
        assert str(caught.value).startswith(said)
        with pytest.raises(ForbiddenError, match=": you are not signed in"):
            require(store, Person("", None, "sign-in", "Sign in."), "triage")
    with Store(tmp_path / "a.duckdb") as store:  # still there
        kept = [{k: v for k, v in row.items() if k != "happened_at"} for row in refusals(store)]
    assert kept == [
        {"name": "", "role": None, "action": "triage", "detail": None},
        {"name": "ana@example.org", "role": "analyst", "action": "label", "detail": "broken bn-1"},
    ]


def test_every_action_has_words_and_a_role() -> None:
    assert set(NEEDS) == set(ACTIONS)
    assert {need.role for need in NEEDS.values()} <= set(ROLES)


def test_the_highest_named_role_counts() -> None:
    assert highest(["offline_access", "Analyst", "viewer"]) == "analyst"
    assert highest(["root", "administrator"]) is None


def token(**claims: Any) -> dict[str, Any]:
    return {"is_logged_in": True, "iat": NOW, "sub": "u1", "iss": "https://id.example.org/realm", **claims}


RITA = {"email": "Rita@Example.org", "email_verified": True}
RULES = SignIn(roles={"rita@example.org": "reviewer"})


@pytest.mark.parametrize(
    ("claims", "rules", "name", "role"),
    [
        (token(**RITA), RULES, "rita@example.org", "reviewer"),
        (token(**RITA, roles=["admin"]), RULES, "rita@example.org", "reviewer"),  # the operator's list wins over the claim
        (token(**RITA, roles=["analyst", "x"]), SignIn(), "rita@example.org", "analyst"),
        (token(**RITA, roles="viewer, analyst"), SignIn(), "rita@example.org", "analyst"),
        (token(**RITA, roles={"admin": True}), SignIn(), "rita@example.org", "viewer"),
        (token(**RITA, realm={"roles": ["admin"]}), SignIn("realm.roles"), "rita@example.org", "admin"),
        (token(**RITA, **{"https://x.org/r": ["admin"]}), SignIn("https://x.org/r"), "rita@example.org", "admin"),
        (token(**RITA), SignIn(), "rita@example.org", "viewer"),
        # an address that the provider does not vouch for is neither a name nor a role
        (token(email="rita@example.org", email_verified=False), RULES, "u1 at id.example.org", "viewer"),
        (token(email="rita@example.org"), RULES, "u1 at id.example.org", "viewer"),
        (token(email="rita@example.org", email_verified="true"), RULES, "u1 at id.example.org", "viewer"),
        (token(email="rita@example.org"), SignIn(roles=RULES.roles, trust_email=True), "rita@example.org", "reviewer"),
        (
            token(email="rita@example.org", email_verified=False),
            SignIn(roles=RULES.roles, trust_email=True),
            "u1 at id.example.org",
            "viewer",
        ),
        (token(roles=["reviewer"]), SignIn(), "u1 at id.example.org", "reviewer"),
    ],
)
def test_who_somebody_is_by_their_claims(claims: dict[str, Any], rules: SignIn, name: str, role: str) -> None:
    person = person_of(claims, rules, NOW)
    assert (person.name, person.role) == (name, role)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"is_logged_in": False, **RITA},
        {**token(**RITA), "is_logged_in": "no"},
        token(**RITA, iat=NOW - 12 * 3600 - 1),
        {"is_logged_in": True, **RITA},
        token(**RITA, iat="now"),
    ],
)
def test_without_a_recent_sign_in_one_is_nobody(claims: dict[str, Any]) -> None:
    person = person_of(claims, RULES, NOW)
    assert (person.name, person.role) == ("", None)
    assert refusal(person, "look") is not None


def test_a_sign_in_lasts_as_long_as_set() -> None:
    claims = token(**RITA, iat=NOW - 3600)
    assert person_of(claims, read_settings({"sign_in_hours": 2}), NOW).role == "viewer"
    assert person_of(claims, read_settings({"sign_in_hours": 0.5}), NOW).next_step == "A sign-in lasts 0.5 hours. Sign in again."


def test_settings_are_read_whole() -> None:
    section = {"roles_claim": "groups", "trust_email": True, "sign_in_hours": 1, "roles": {"Rita@Example.org ": "admin"}}
    assert read_settings(section) == SignIn("groups", {"rita@example.org": "admin"}, True, 1.0)
    assert read_settings({}) == SignIn()


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"role_claim": "x"}, "role_claim is unknown"),
        ({"roles": {"ana@example.org": "boss"}}, "gives 'boss' to ana@example.org"),
        ({"roles": ["admin"]}, "is a table"),
        ({"roles_claim": ""}, "name of a claim"),
        ({"trust_email": "yes"}, "true or false"),
        ({"sign_in_hours": 0}, "above 0"),
        ({"sign_in_hours": float("nan")}, "above 0"),
        ({"sign_in_hours": True}, "above 0"),
    ],
)
def test_settings_with_a_mistake_let_nobody_in(section: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_settings(section)


def test_the_example_of_secrets_can_be_read() -> None:
    example = tomllib.loads((ROOT / ".streamlit" / "secrets.toml.example").read_text())
    assert set(read_settings(example["heatproof"]).roles.values()) == {"analyst", "reviewer", "admin"}
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert ".streamlit/secrets.toml" in ignored, "a filled-in copy is never committed"


READS = {
    "core.clicks.mappings": {"LONGEST", "fitting"},
    "core.review.triage": {"Op", "Batch", "STATE_AFTER", "banners_of", "last_action"},
    "core.review.labels": {
        "LABELS",
        "FAULTS",
        "Label",
        "Event",
        "last_action",
        "current",
        "states",
        "disputed",
        "fault_problem",
        "newest",
        "n_settled",
        "hidden_from",
    },
    "core.review.claims": {"Item", "Undone", "control_sample", "last_action"},
    "core.jobs.running": {"current", "all_current"},
    "core.runs.run": {"RUN", "interrupted_runs"},
    "core.embeddings.job": {"MAP", "MAX_POINTS", "features"},
    "core.calibration.publish": {"Request", "Preview", "Measured", "preview", "labels_of", "flipped", "grid_changes", "active_number"},
    "core.models.training.job": {"TRAINING", "networks", "state_of_weights"},
    "core.models.audit.job": {"AUDIT"},
    "core.models.selection.job": {"SELECTION", "USED", "choice_id"},
    "core.models.latent.job": {"LATENT", "Latent", "kept"},
    "core.clicks.job": {"INGEST", "IngestRequest"},
    "core.clicks.undo": {"ingests", "effect", "Effect"},
    "core.ui.session.roles": {"Action", "Person", "refusal", "refusals"},
    "core.store.store": {"Store"},
}
"""What pages may use of modules that write: what only reads."""
DOORS = {"core/ui/session/writes.py", "core/ui/session/roles.py", "core/ui/session/sign_in.py"}
"""The one way to write, and what says who asks and keeps refusals."""
ACTS = {"transaction", "backup", "cancel", "getbuffer", "write_bytes", "write_text", "unlink"}


def page_files() -> list[Path]:
    return [
        p for p in (*(ROOT / "pages").glob("*.py"), *(ROOT / "core" / "ui").rglob("*.py")) if p.relative_to(ROOT).as_posix() not in DOORS
    ]


def writers() -> set[str]:
    """Modules of core that open a transaction themselves, and those that start what does."""
    files = [p for p in (ROOT / "core").rglob("*.py") if "ui" not in p.relative_to(ROOT).parts]
    found = {p for p in files if re.search(r"\.(transaction|bulk)\(", p.read_text())}
    return {".".join(p.relative_to(ROOT).with_suffix("").parts) for p in found} | set(READS)


def uses(tree: ast.AST, module: str) -> Iterator[str]:
    """Names of a module that a source takes from it."""
    parent, name = module.rsplit(".", 1)
    aliases = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == module:
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module == parent:
            aliases |= {alias.asname or alias.name for alias in node.names if alias.name == name}
        if isinstance(node, ast.Import):
            assert module not in {alias.name for alias in node.names}, "pages import with from, so that this test can follow"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
            yield node.attr


@pytest.mark.parametrize("path", page_files(), ids=lambda p: p.name)
def test_pages_change_nothing_but_through_writes(path: Path) -> None:
    tree = ast.parse(path.read_text())
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    acts = {node.attr for node in attributes if not (isinstance(node.value, ast.Name) and node.value.id == "writes")} & ACTS
    assert not acts, f"{path.name} does {acts} itself: let it go through core/ui/session/writes.py, which checks who asks"
    for module in writers():
        past = set(uses(tree, module)) - READS.get(module, set())
        assert not past, (
            f"{path.name} takes {past} of {module}: write through core/ui/session/writes.py, or list it in READS where it only reads"
        )


def test_the_walk_would_notice() -> None:
    assert {"core.review.triage", "core.review.labels", "core.runs.run", "core.embeddings.job"} <= writers()
    tree = ast.parse("from core.review import triage as t\nfrom core.review.labels import label\nt.decide(store)")
    assert set(uses(tree, "core.review.triage")) == {"decide"}
    assert set(uses(tree, "core.review.labels")) == {"label"}


def test_every_write_checks_first() -> None:
    """Each public function of writes.py names its action in its first statement after the docstring, or is one of the two helpers."""
    tree = ast.parse((ROOT / "core" / "ui" / "session" / "writes.py").read_text())
    functions = [
        f for f in tree.body if isinstance(f, ast.FunctionDef) and not f.name.startswith("_") and f.name not in {"allowed", "button"}
    ]
    assert len(functions) > 10
    for function in functions:
        calls = [n for n in ast.walk(function) if isinstance(n, ast.Call)]
        checks = [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == "allowed"]
        others = [c.lineno for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr not in {"join", "replace"}]
        assert checks, f"{function.name} asks nobody"
        assert min(checks) <= min(others, default=10**9), f"{function.name} acts before it asks"
