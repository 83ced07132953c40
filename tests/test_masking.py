"""No password of a store in anything that is printed, logged, shown or handed to a child process."""

import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from core import logs
from core.__main__ import app
from core.errors import InputError, StoreError, masking
from core.errors.masking import masked
from core.jobs import process
from core.logs.progress import no_progress
from core.store import Store
from core.store.lake import LakeEngine
from core.store.url import StoreUrl
from core.ui.server.readiness import Readiness

ROOT = Path(__file__).parents[1]
PASSWORDS = [
    "s3cret",
    "s:3@c/r?e&t",
    "two words",
    "it's",
    'say "x"',
    "back\\slash",
    "Pässwört",
    "a%40b",
    "x=y host",
    "§",
    "q7",
    "%zz1",
    "tab\there",
    "new\nline",
    "correct horse battery staple",
]


def pair(password: str) -> str:
    """As libpq wants a value that may hold anything."""
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    return f"ducklake:postgres:host=db.example.org user=kim password='{escaped}' dbname=heat data_path=/srv/heat"


def loud(password: str) -> str:
    """A key in capitals, which libpq refuses by quoting what it read."""
    return pair(password).replace("password=", "PASSWORD = ")


def unquoted(password: str) -> str:
    """What should have been quoted."""
    return f"ducklake:postgres:host=db.example.org password={password} user=kim data_path=/srv/heat"


def userinfo(password: str) -> str:
    """A URL with the password as it is, which is right only where nothing in it needs an escape."""
    return f"ducklake:postgres:postgresql://kim:{password}@db.example.org/heat?data_path=/srv/heat"


def encoded(password: str) -> str:
    """A URL as it should be."""
    escaped = "".join(f"%{byte:02X}" for byte in password.encode())
    return userinfo(escaped)


def query(password: str) -> str:
    """The password among the options of a URL."""
    escaped = "".join(f"%{byte:02x}" for byte in password.encode())
    return f"ducklake:postgres:postgresql://kim@db.example.org/heat?sslmode=require&password={escaped}&data_path=/srv/heat"


SPELLINGS = [pair, loud, unquoted, userinfo, encoded, query]
any_password = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=24).filter(
    lambda text: text.strip() == text and "data_path" not in text
)


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(password=any_password)
@settings(max_examples=60, deadline=None)
def test_what_is_shown_of_a_store_is_the_same_whatever_its_password(spelling: Any, password: str) -> None:
    """Stronger than that it is not in there: one letter is in every text, and a text that depends on it gives it away."""
    if spelling is not pair and spelling is not loud and any(word in password for word in (" user=", " host=", "?", "&", "'")):
        return  # then libpq itself reads another option there, or none
    url, other = StoreUrl.parse(spelling(password)), StoreUrl.parse(spelling("0therS3cret"))
    assert (url.shown, url.name, repr(url)) == (other.shown, other.name, repr(other))
    assert masked(f"cannot open {url}") == masked(f"cannot open {other}")
    assert masked(f"'{url.where}' {json.dumps(url.where)}") == masked(f"'{other.where}' {json.dumps(other.where)}")


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_messages_of_the_engine_hold_no_password_and_no_part_that_they_quote(spelling: Any, password: str) -> None:
    """As libpq and DuckDB word them: the whole string, or the word that they could not read."""
    url = StoreUrl.parse(spelling(password))
    for word in {password, *password.replace("@", " ").replace(":", " ").replace("/", " ").split()}:
        if word in re.split(r"\W", url.shown):
            continue  # it stands there anyway, as another option's name
        for message in (
            f'IO Error: Unable to connect to Postgres at "{url.where}": missing "=" after "{word}" in connection info string',
            f'could not translate host name "{word}@db.example.org" to address: Name or service not known',
            f'invalid percent-encoded token: "{word}"',
            f"Parser Error: LINE 1: ATTACH '{str(url).replace(chr(39), 2 * chr(39))}' AS lake1",
        ):
            for said in (str(StoreError(message)), masked(message)):
                assert password not in said.replace("Parser Error: LINE 1: ATTACH", "")
                assert f'"{word}"' not in said
    kept = 'connection to server at "db.example.org", port 5432 failed: FATAL: password authentication failed for user "kim"'
    assert masked(kept) == kept


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("PGPASSWORD=s3cret psql", "PGPASSWORD=*** psql"),
        ("password = 'a b' user=kim", "password = *** user=kim"),
        ("Password='it''s' x", "Password=*** x"),
        ("at postgres://kim:p@ss:w@db:5432/heat: no", "at postgres://kim:***@db:5432/heat: no"),
        ("s3://key:sec/ret@bucket/a", "s3://key:***@bucket/a"),
        ("https://id.example.org:8443/realm?a=b", "https://id.example.org:8443/realm?a=b"),
        ("http://127.0.0.1:8501/banner?id=a@b", "http://127.0.0.1:8501/banner?id=a@b"),
        ("/data/password=1/heat.duckdb is gone", "/data/password=1/heat.duckdb is gone"),
        ("no password supplied", "no password supplied"),
    ],
)
def test_passwords_are_masked_where_they_stand_and_nothing_else_is(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert masked(shown) == shown


def test_the_password_of_the_environment_is_masked_wherever_it_appears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "c0rrect horse")
    assert str(StoreError("the server said c0rrect horse, twice")) == "the server said ***, twice"
    monkeypatch.setenv("PGPASSWORD", "connection")
    said = 'connection to server failed: "connection" is wrong'
    assert masked(said) == 'connection to server failed: "***" is wrong', "a plain word is masked in quotations only"


@pytest.mark.parametrize("text", ["data/password=x.duckdb", "ducklake:sqlite:a/kim:x@y.sqlite?data_path=/x/pwd=1"])
def test_paths_are_shown_as_they_are(text: str) -> None:
    assert StoreUrl.parse(text).shown == text


def test_what_cannot_be_a_store_is_shown_without_its_password() -> None:
    for text in ("ducklake:mysql:host=db password=s3cret", "ducklake:postgres:dbname=heat password='s3cret 2'"):
        with pytest.raises(InputError) as caught:
            StoreUrl.parse(text)
        assert "s3cret" not in str(caught.value)


def dead(password: str) -> str:
    """A store whose server nobody runs; skips where the extensions are not installed."""
    pytest.importorskip("duckdb_extension_postgres_scanner")
    return f"ducklake:postgres:host=127.0.0.1 port=1 user=kim dbname=heat password='{password}' data_path=/tmp/heat"


@pytest.mark.parametrize("key", ["password", "PASSWORD"])
def test_a_store_that_cannot_be_opened_says_so_without_its_password(key: str) -> None:
    url = dead("s3 cr:e@t").replace("password", key)
    with pytest.raises(StoreError) as caught:
        Store(url)
    assert not [part for part in ("s3", "cr:", "e@t") if part in str(caught.value)]
    why = Readiness(lambda: Store(url)).why_not()
    assert why is not None
    assert not [part for part in ("s3", "cr:", "e@t") if part in why]
    assert "password" not in repr(LakeEngine(StoreUrl.parse(url)).url).replace(f"{key}=***", "")


@pytest.mark.parametrize("verb", [["info", "--json"], ["score"], ["info"]])
def test_the_command_line_prints_no_password(verb: list[str]) -> None:
    done = CliRunner().invoke(app, [*verb, "--store", dead("s3cr:e@t")])
    assert "s3cr" not in done.output + done.stderr
    assert done.exit_code in (0, 2)


def test_a_bug_of_the_command_line_keeps_its_traceback_and_no_password() -> None:
    program = "from core import logs; from core.store.url import StoreUrl\nlogs.mask_everything()\n" + (
        "import sys, threading, logging\nurl = StoreUrl.parse(sys.argv[1])\nlogging.basicConfig()\n"
        "def fails(): raise ValueError(f'cannot use {url}')\n"
        "thread = threading.Thread(target=fails); thread.start(); thread.join()\n"
        "try: fails()\nexcept ValueError: logging.getLogger('uvicorn').exception('of %s', url)\nfails()"
    )
    done = subprocess.run([sys.executable, "-c", program, pair("s3cr et")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("ValueError: cannot use ducklake:postgres:host=db.example.org") == 3
    assert "s3cr" not in done.stderr


def test_logs_hold_no_password(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    url = StoreUrl.parse(pair('say "s3cret" \\ ü'))
    for format in ("json", "text"):
        monkeypatch.setenv("HEATPROOF_LOG", format)
        logs.configure(None)
        logs.event("store_opened", store=str(url), several=[str(url)], by={"name": url.where})
        logs.failure("page_failed", ValueError(f"of {url}"))
        said = capsys.readouterr().err
        assert said.count("password=***") >= 3
        assert "s3cret" not in said
        if format == "json":
            assert [json.loads(line)["event"] for line in said.splitlines()] == ["store_opened", "page_failed"]
    monkeypatch.delenv("HEATPROOF_LOG")
    logs.configure(None)
    logs.logger.propagate = True


def test_a_record_of_another_library_is_masked_by_every_handler(caplog: pytest.LogCaptureFixture) -> None:
    url = StoreUrl.parse(pair("s3cr et"))
    record = logs.MaskedRecord("duckdb", logging.ERROR, __file__, 1, "cannot open %s", (str(url),), None)
    assert "s3cr" not in logging.Formatter().format(record)


def test_child_processes_get_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEATPROOF_STORE", "PGPASSWORD", "PGPASSFILE", "DB_PASSWORD", "STREAMLIT_SERVER_COOKIE_SECRET"):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("HEATPROOF_THREADS", "1")
    (tmp_path / "out").mkdir()
    program = "import os, sys, json, pathlib; pathlib.Path(sys.argv[1], 'out', 'summary.json').write_text(json.dumps(dict(os.environ)))"
    given = process.follow((sys.executable, "-c", program), tmp_path, no_progress, lambda: False)
    assert "s3cret" not in given.values()
    assert given["HEATPROOF_THREADS"] == "1"


def test_only_the_newest_connection_strings_are_kept() -> None:
    for n in range(3 * masking.N_REMEMBERED):
        masking.remember(f"password=s3cret{n}")
    assert len(masking._known) == masking.N_REMEMBERED
