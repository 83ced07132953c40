"""Keeps passwords out of every text that a person or a log reads. `masked` is the one function that all these texts pass.

Masked whatever the password is: connection strings of stores (`remember`), `password=…` as libpq, a URL's query or the environment writes
it, and the userinfo of a URL. The password itself, wherever else it appears: also in what libpq quotes of a string that it cannot read.
A password that could be a word of any message (short, plain letters or digits) is masked in connection strings and quotations only.
"""

import json
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

MASK = "***"
N_REMEMBERED = 16
"""Connection strings kept; a process uses one or two."""

_KEY = r"\w*(?:password|passwd|pwd|secret)"
_QUOTED = r"'(?:\\.|''|[^'\\])*'?"
_KEYWORDS = (
    r"host|hostaddr|port|dbname|user|passfile|require_auth|channel_binding|connect_timeout|client_encoding|options|application_name"
    r"|fallback_application_name|keepalives\w*|tcp_user_timeout|replication|gss\w+|ssl\w+|requiressl|requirepeer|ssl_\w+|krbsrvname|service"
    r"|servicefile|target_session_attrs|load_balance_hosts|scram_\w+|oauth_\w+|m(?:in|ax)_protocol_version|data_path"
)
_SCHEME = r"(?:\b[a-z][a-z0-9+.-]*://|\bpostgres(?:ql)?:/)"

# Within a connection string: the widest reading, since a password that should have been quoted or escaped is a password all the same.
_PAIR = re.compile(rf"(?is)(?<![\w?&])({_KEY}\s*=\s*)(?P<secret>(?:{_QUOTED})?.*?)(?=\s+(?:{_KEYWORDS})\s*=|$)")
_QUERY = re.compile(rf"(?is)([?&]{_KEY}=)(?P<secret>[^&]*)")
_USERINFO = re.compile(rf"(?is)({_SCHEME}[^:/@]*:)(?P<secret>.*)(?=@)")
_NO_PORT = re.compile(rf"(?is)({_SCHEME}[^:/@\[]+:)(?P<secret>[^/?,@]*[^/?,@\d][^/?,@]*)(?=[/?]|$)")

# Within any text: what follows may be a sentence.
_IN_TEXT = [
    re.compile(rf"(?i)([?&]{_KEY}=)(?P<secret>[^&\s\"]+)"),
    re.compile(rf"(?is)(?<![\w/\\.?&-])({_KEY}\s*=\s*)(?P<secret>''.*?''(?!')|\"(?:\\.|[^\"\\])*\"|{_QUOTED}|(?:\\.|[^\s\"])+)"),
    re.compile(rf"(?i)(\"{_KEY}\"\s*[=:]\s*)(?P<secret>\"(?:\\.|[^\"\\])*\")"),
    re.compile(rf"(?i)\b({_KEY}\s+)(?P<secret>'(?:''|[^'])+')"),
    re.compile(rf"(?i)({_SCHEME}[^\s:/@'\"]*:)(?!\d+(?:[/?#\s]|$))(?P<secret>\S*)(?=@)"),
]
_PRIVATE = re.compile(r"HEATPROOF_STORE|PG[A-Z]+|.*(?:PASSWORD|PASSWD|SECRET).*", re.IGNORECASE)
_QUOTATION = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|`[^`\n]*`|\u201c[^\u201d\n]*\u201d")


class _Known(NamedTuple):
    """A connection string with a password: how it may be written in a message, how it is shown, its password and the parts of that."""

    spellings: list[str]
    shown: str
    forms: list[str]
    parts: list[str]


_known: OrderedDict[str, _Known] = OrderedDict()
_lock = threading.Lock()


def connection(text: str) -> str:
    """A connection string without its passwords, for people."""
    for pattern in (_USERINFO, _NO_PORT, _QUERY, _PAIR):
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return text


def remember(text: str) -> None:
    """Masks a connection string and its passwords from now on, in every text; the newest few are kept."""
    shown = connection(text)
    if shown == text:
        return
    secrets = [found["secret"] for pattern in (_USERINFO, _NO_PORT, _QUERY, _PAIR) for found in pattern.finditer(text)]
    known = _known_as(text, shown, secrets)
    with _lock:
        _known[text] = known
        _known.move_to_end(text)
        while len(_known) > N_REMEMBERED:
            _known.popitem(last=False)


def masked(text: str) -> str:
    """The text without any password that is known, or that stands where a password does."""
    with _lock:
        known = list(_known.values())
    from_environment = os.environ.get("PGPASSWORD")
    if from_environment:
        known.append(_known_as(from_environment, MASK, [from_environment])._replace(spellings=[]))
    for one in known:
        for spelling in one.spellings:
            text = text.replace(spelling, one.shown)
    for pattern in _IN_TEXT:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    for one in known:
        for form in filter(_is_distinct, one.forms):
            text = _without(text, form)
        for part in one.parts:  # first as a whole: it may hold quotes itself
            text = re.sub(f"([\"'`\u201c]){re.escape(part)}([\"'`\u201d])", rf"\1{MASK}\2", text)
        text = _QUOTATION.sub(lambda found, one=one: _unquoted(found[0], one), text)  # type: ignore[misc]
    return text


def masked_values(value: Any) -> Any:
    """A value as JSON knows it, with every text in it masked; what JSON does not know stays as it is."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {masked_values(key): masked_values(inner) for key, inner in value.items()}
    return [masked_values(inner) for inner in value] if isinstance(value, list | tuple) else value


def without_passwords(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that opens no store: without its URL, libpq's variables, and whatever is named a password or secret."""
    return {name: value for name, value in environment.items() if not _PRIVATE.fullmatch(name)}


def _known_as(text: str, shown: str, secrets: list[str]) -> _Known:
    forms = {form for secret in secrets for form in _forms(secret)}
    seen = set(re.split(r"[^\w]+", shown))
    parts = {part for form in forms for part in re.split(r"[\s@:/?#&='\"\\%;,]+", form)} | forms
    longest = sorted((form for form in forms if form not in seen), key=len, reverse=True)
    return _Known(_spellings(text), shown, longest, sorted((part for part in parts if part and part not in seen), key=len, reverse=True))


def _forms(secret: str) -> set[str]:
    """What is meant by a password in a connection string: as it stands, without quotes and escapes, decoded, encoded."""
    plain = secret[1:-1] if len(secret) > 1 and secret[0] == secret[-1] == "'" else secret
    meant = {secret, plain, re.sub(r"\\(.)", r"\1", plain), unquote(plain)}
    return {form for each in meant for form in (each, each.strip(), quote(each, safe=""), *_spellings(each)) if form.strip()}


def _spellings(text: str) -> list[str]:
    """A text as it is, in SQL, JSON and Python; the longest first."""
    written = {text, text.replace("'", "''"), json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]}
    return sorted((each for each in written if each), key=len, reverse=True)


def _is_distinct(form: str) -> bool:
    """Whether a password can hardly be a word of a message: then it is masked wherever it stands."""
    return not (len(form) < 4 or (form.isalpha() and len(form) < 16) or (form.isdigit() and len(form) < 8))


def _without(text: str, part: str) -> str:
    """The text with MASK for the part, where it is no piece of a longer word."""
    before, after = (r"(?<!\w)" if part[0].isalnum() else ""), (r"(?!\w)" if part[-1].isalnum() else "")
    return re.sub(f"{before}{re.escape(part)}{after}", MASK, text)


def _unquoted(quotation: str, known: _Known) -> str:
    """A quotation in a message of the engine, without any part of the password."""
    inner = quotation[1:-1]
    for part in known.parts:
        inner = _without(inner, part)
    return quotation[0] + inner + quotation[-1]
