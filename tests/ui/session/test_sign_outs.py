"""Sign-ins that were ended stay ended: across processes, restarts and damage, in bounded memory. And settings that may not vanish."""

import stat
import time
from pathlib import Path
from typing import Any

import pytest

from core.errors import InputError
from core.ui.session import sign_outs
from core.ui.session.sign_in import Kept
from core.ui.session.sign_outs import KEPT_S, SignOuts, key_of


def claims(n: int, **more: Any) -> dict[str, Any]:
    return {"iss": "https://id.example.org", "sub": "olga", "iat": time.time() - 1000 + n, "nonce": str(n), **more}


def test_one_sign_in_ends_and_another_of_the_same_person_does_not(tmp_path: Path) -> None:
    ended = SignOuts(tmp_path / "s.signed-out")
    ended.add(claims(1, email="olga@example.org"))
    assert ended.has(claims(1) | {"iat": claims(1)["iat"]}) is False, "another moment is another sign-in"
    one = claims(2)
    ended.add(one)
    assert ended.has({**one, "is_logged_in": True, "tokens": {}}), "what a page knows of it and what its cookie holds are one sign-in"
    assert not ended.has({**one, "nonce": "3"})
    assert not ended.has({})


def test_a_restart_and_another_dashboard_refuse_it_too(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "s.signed-out"
    here, there, one, other = SignOuts(file), SignOuts(file), claims(1), claims(2)
    assert not there.has(one)
    here.add(one)
    there.add(other)
    assert here.has(other)
    assert there.has(one)
    assert SignOuts(file).has(one)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "olga" not in file.read_text()


def test_what_is_kept_is_bounded_and_what_is_dropped_is_refused_all_the_same(tmp_path: Path) -> None:
    ended = SignOuts(tmp_path / "s.signed-out", limit=10)
    every = [claims(n) for n in range(25)]
    for one in every:
        ended.add(one)
    assert all(ended.has(one) for one in every)
    assert all(SignOuts(tmp_path / "s.signed-out").has(one) for one in every)
    assert len(ended._ended) <= 10
    assert not ended.has(claims(500))
    old = claims(0, iat=time.time() - KEPT_S - 1)
    ended.add(old)
    assert key_of(old) not in ended._ended, "its cookie is no longer taken by anybody"


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"ended": 3}'])
def test_a_damaged_file_lets_nobody_stay(tmp_path: Path, text: str) -> None:
    file, one = tmp_path / "s.signed-out", claims(1)
    file.write_text(text)
    ended = SignOuts(file)
    assert ended.has(one), "who ended what is not known any more"
    assert not ended.has(claims(1, iat=time.time() + 1)), "a new sign-in is none of them"
    assert SignOuts(file).has(one), "after a restart as well"
    assert file.with_name("s.signed-out.damaged").read_text() == text


def test_a_folder_that_cannot_be_written_ends_it_in_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    ended, one = SignOuts(tmp_path / "file" / "s.signed-out"), claims(1)
    ended.add(one)
    assert ended.has(one)


def test_digests_tell_claims_apart() -> None:
    assert len({key_of({name: "x"}) for name in sign_outs.NAMES}) == len(sign_outs.NAMES)


AUTH = {"client_id": "a", "cookie_secret": "b", "okta": {"client_id": "c"}}
RULES = {"sign_in_hours": 1, "roles": {"ana@example.org": "viewer"}}


@pytest.mark.parametrize(
    ("later", "gone"),
    [
        ({}, "auth"),
        ({"heatproof": RULES}, "auth"),
        ({"auth": {}, "heatproof": RULES}, "auth.client_id"),
        ({"auth": {**AUTH, "client_id": ""}, "heatproof": RULES}, "auth.client_id"),
        ({"auth": {"client_id": "a", "cookie_secret": "b"}, "heatproof": RULES}, "auth.okta"),
        ({"auth": {**AUTH, "okta": {}}, "heatproof": RULES}, "auth.okta.client_id"),
        ({"auth": "x", "heatproof": RULES}, "auth.client_id"),
        ({"auth": AUTH}, "heatproof"),
        ({"auth": AUTH, "heatproof": {"sign_in_hours": 1}}, "heatproof.roles"),
        ({"auth": AUTH, "heatproof": {"roles": {}}}, "heatproof.sign_in_hours"),
    ],
)
def test_settings_that_were_seen_do_not_vanish(later: dict[str, Any], gone: str) -> None:
    kept = Kept()
    kept.check({})
    kept.check({"auth": AUTH, "heatproof": RULES})
    for _ in range(2):
        with pytest.raises(InputError, match=rf"{gone}\b.* gone from the secrets.*or restart"):
            kept.check(later)
    kept.check({"auth": {**AUTH, "more": 1}, "heatproof": {"sign_in_hours": 9, "roles": {"rita@example.org": "admin"}}})


def test_without_a_sign_in_nothing_is_kept() -> None:
    kept = Kept()
    kept.check({"heatproof": RULES})
    kept.check({})
