"""The local user's name, remembered by their browser: a cookie that new tabs and reloads bring along.

What a cookie says is text from outside: it is cleaned like typed text, and used only where there is no sign-in.
"""

import unicodedata
from urllib.parse import unquote

import streamlit as st

COOKIE = "heatproof_name"
MOST_SIGNS = 60

_JS = """
export default function ({ data }) {
  const kept = document.cookie.split("; ").find((part) => part.startsWith(data.cookie + "="));
  const wanted = encodeURIComponent(data.name);
  const age = data.name ? 31536000 : 0;
  if ((kept ? kept.slice(data.cookie.length + 1) : "") !== wanted)
    document.cookie = `${data.cookie}=${wanted}; path=/; max-age=${age}; SameSite=Lax`;
}
"""

_keep = st.components.v2.component("heatproof_name", js=_JS)


def name() -> str:
    """The name that the browser brought along, cleaned; empty where there is none."""
    brought = st.context.cookies.get(COOKIE)
    return clean(unquote(brought[: 12 * MOST_SIGNS], errors="ignore")) if isinstance(brought, str) else ""


def keep(value: str) -> None:
    """Has the browser remember a name; an empty one makes it forget."""
    _keep(key="keep_name", data={"cookie": COOKIE, "name": clean(value)}, height=0)


def clean(value: str) -> str:
    """A name on one line of at most MOST_SIGNS signs: without control, formatting and unassigned characters."""
    printable = "".join(" " if c.isspace() else c for c in value if c.isspace() or not unicodedata.category(c).startswith("C"))
    return " ".join(printable.split())[:MOST_SIGNS].strip()
