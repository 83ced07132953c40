"""Who acts: the user who signed in, or the one local user; and the page that asks to sign in.

Without `[auth]` in the secrets there is no sign-in. That is right for one person on their own machine only: where the
dashboard can be reached from elsewhere, all users are viewers until sign-in is configured.
"""

import getpass
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from streamlit.errors import StreamlitAuthError

from core import logs, settings
from core.errors import HeatproofError, InputError
from core.store.url import StoreUrl
from core.ui.render import text
from core.ui.session import remembered, roles, secrets, sign_in
from core.ui.session.roles import Action, Person
from core.ui.session.sign_outs import SignOuts

FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")
SIGNED_OUT = "You signed out. Sign in again."
SIGN_IN = "Put [auth] into .streamlit/secrets.toml, so that people sign in (docs/configuration.md says how)"


def person() -> Person:
    """Who acts in this session. Raises InputError where the secrets cannot be read: a typing error grants no access."""
    secrets.read()  # first: st.user reads them too, and its errors are no messages
    found = who(st.user.to_dict(), st.context.headers)
    return replace(found, name=_chosen_name() or found.name) if found.source == "local" else found


def _chosen_name() -> str:
    """What the local user calls themselves: as typed in this session, else as this browser remembers."""
    typed = st.session_state.get("author")
    if typed is None:
        return remembered.name()
    return str(typed) if typed.isspace() else remembered.clean(typed)


def who(claims: Mapping[str, Any], headers: Mapping[str, str]) -> Person:
    """Who sends requests with these headers, by the claims of their sign-in. Errors as of `person`."""
    found = secrets.read()
    if "auth" in found:
        signed_in = sign_in.person_of(claims, sign_in.read_settings(found.get("heatproof", {})), time.time())
        return Person("", None, "sign-in", SIGNED_OUT) if signed_in.role and sign_outs().has(claims) else signed_in
    why = _reachable(headers)
    if why:
        return Person("anonymous", "viewer", "open", f"{why} {SIGN_IN}, or start it with --server.address 127.0.0.1 and without a proxy.")
    return Person(login_name(), "admin", "local")


def sign_outs() -> SignOuts:
    """Sign-ins that were ended, kept beside the store."""
    return _sign_outs(StoreUrl.parse(settings.store_url()).home)


@cache
def _sign_outs(home: Path) -> SignOuts:
    return SignOuts(home.with_name(home.name + ".signed-out"))


def refused(action: Action) -> str | None:
    """Why the person may not do this, None where they may."""
    return roles.refusal(person(), action)


def login_name() -> str:
    """The operating system's name of the user who started the dashboard."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a user entry
        return "analyst"


def is_known() -> bool:
    """Whether this visitor may look; False as well where the secrets cannot be read, which `gate` then says."""
    try:
        return person().role is not None
    except HeatproofError:
        return False


def gate() -> bool:
    """Whether the person may look; shows how to sign in where they may not."""
    who = person()
    if who.role is not None:
        return True
    _log_refused(who)
    st.subheader("Sign in to see this dashboard.", anchor=False)
    st.markdown(text.markdown(who.next_step) if who.next_step != sign_in.AGAIN else "Your role decides what you may do here.")
    providers = _providers(secrets.read()["auth"])
    for provider in providers:
        words = "Sign in" if len(providers) == 1 else f"Sign in with {text.markdown(provider)}"
        st.button(words, key=f"sign_in_{provider}", type="primary", icon=":material/login:", on_click=_sign_in, args=(provider,))
    return False


def foot() -> None:
    """In the sidebar: who you are, as what, and the way out."""
    who = person()
    if who.source == "local":
        typed = st.text_input(
            "Your name", value=remembered.name() or login_name(), key="author", max_chars=remembered.MOST_SIGNS, persist_state="session",
            placeholder=login_name(),
            help="Your decisions carry this name, and this browser remembers it. This is a local app for one person: it is not checked.",
        )  # fmt: skip
        remembered.keep(typed if remembered.clean(typed) != login_name() else "")
        st.caption("Local user · admin", help="Only this machine reaches the dashboard, so it has no sign-in.")
    elif who.source == "open":
        st.caption(":material/lock: **Viewing only** · not signed in", help=text.markdown(roles.refusal(who, "triage")))
        st.caption(text.markdown(who.next_step))
    else:
        st.caption(f"**{text.markdown(who.name)}** · {who.role}", help="From your sign-in. What you decide carries this name.")
        st.button("Sign out", key="sign_out", type="tertiary", icon=":material/logout:", on_click=_sign_out)


def _sign_out() -> None:
    """Ends this sign-in everywhere: in other tabs, and for every copy of its cookie."""
    sign_outs().add(st.user.to_dict())
    logs.event("signed_out")
    st.logout()


def _sign_in(provider: str) -> None:
    try:
        st.login(provider)
    except StreamlitAuthError as error:
        logs.failure("sign_in_failed", error, provider=provider)
        st.session_state["failure"] = f"Sign-in needs a complete [auth] in .streamlit/secrets.toml: {error} Correct it."


def _log_refused(who: Person) -> None:
    """Once a session, for a sign-in that is not accepted; a visitor who has not signed in yet was refused nothing."""
    if who.next_step != sign_in.AGAIN and not st.session_state.get("sign_in_refused"):
        st.session_state["sign_in_refused"] = True
        logs.event("sign_in_refused", reason=who.next_step)


def _providers(auth: Mapping[str, Any]) -> list[str]:
    """Names that `st.login` takes: `default` for `[auth]` itself, and every `[auth.NAME]` with a client."""
    named = [name for name, value in auth.items() if isinstance(value, Mapping) and "client_id" in value]
    found = (["default"] if "client_id" in auth else []) + named
    if not found:
        raise InputError("[auth] in .streamlit/secrets.toml has no client_id. Add one (docs/configuration.md says how).")
    return found


def _reachable(headers: Mapping[str, str]) -> str | None:
    """How others may reach this dashboard, as a sentence; None where only this machine does."""
    address = secrets.address()
    if not is_loopback(address):
        return f"This dashboard listens on {address or 'every address of its machine'} and has no sign-in."
    # without headers in tests only: every browser sends its host
    if any(name in headers for name in FORWARDED) or not is_loopback(headers.get("Host", "localhost")):
        return "Requests come to this dashboard from other machines, and it has no sign-in."
    return None


def is_loopback(host: str) -> bool:
    """Whether a host, with or without a port, is this machine itself."""
    try:
        name = urlsplit(f"//{host}").hostname if not host.count(":") > 1 or host.startswith("[") else host
        return name == "localhost" or ip_address(name or "").is_loopback
    except ValueError:
        return False
