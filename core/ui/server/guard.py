"""Before every request to the dashboard: is it meant for this dashboard, sent by one of its pages, by one who may?

Host and Origin are checked for all of them, pages, websocket, uploads, media, sign-in and the agent API alike; /livez, /readyz and
/metrics answer to any Host, since machines ask by address, and to no foreign page. Media need a role, uploads the role of an ingest,
and a page whose sign-in ended asks to sign in with the next click on any part of it.
"""

import re
from typing import Any

import streamlit as st
from google.protobuf.message import DecodeError
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config
from streamlit.proto.BackMsg_pb2 import BackMsg

from core import logs, settings
from core.errors import HeatproofError
from core.ui.server.hosts import Names
from core.ui.session import caller, identity, secrets
from core.ui.session.upload_gate import Refusal, Uploads

PROBES = frozenset({"/livez", "/readyz", "/metrics"})
MEDIA = re.compile(r"/media/[^/]")
SIGN_OUT = re.compile(r"/auth/logout/?$")
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "content-security-policy": "frame-ancestors 'self'",
    "x-frame-options": "SAMEORIGIN",
}


def names() -> Names:
    """The names of this dashboard: its own, `browser.serverAddress` and `HEATPROOF_HOSTS`. Raises InputError for one that is none."""
    public = settings.public_hosts()
    if config.is_manually_set("browser.serverAddress"):
        public.append(str(st.get_option("browser.serverAddress")))
    return Names.of(str(st.get_option("server.address") or ""), public)


class Guard:
    """ASGI middleware around everything that the server answers."""

    def __init__(self, app: ASGIApp, names: Names) -> None:
        self._app, self._names, self._uploads = app, names, Uploads()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses, or passes on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        refusal = self._foreign(scope, connection) or _closed(scope["path"]) or self._forbidden(scope, connection)
        if refusal is not None:
            logs.detail("request_refused", status=refusal.status, path=scope["path"][:200], reason=refusal.why)
            await _refuse(refusal, scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, _whole_pages(connection, receive), send)
        elif scope["method"] == "PUT":
            with self._uploads.under_way(connection):
                await self._app(scope, receive, _with_headers(scope, send))
        else:
            if SIGN_OUT.search(scope["path"]):
                _sign_out(connection)
            await self._app(scope, receive, _with_headers(scope, send))

    def _foreign(self, scope: Scope, connection: HTTPConnection) -> Refusal | None:
        """Why a request is not for this dashboard, or not from it."""
        port = (scope.get("server") or (None, None))[1]
        hosts, origins = connection.headers.getlist("host"), connection.headers.getlist("origin")
        if scope["path"] not in PROBES and not (len(hosts) == 1 and self._names.answers(hosts[0], port)):
            return Refusal(403, f"This dashboard does not answer to the host {_shown(hosts)}. To give it that name, set HEATPROOF_HOSTS.")
        if not all(self._names.is_page(origin, port) for origin in origins):
            return Refusal(
                403, f"Requests come from pages of this dashboard, not of {_shown(origins)}. For a public name set HEATPROOF_HOSTS."
            )
        site, mode = connection.headers.get("sec-fetch-site"), connection.headers.get("sec-fetch-mode")
        if site in ("cross-site", "same-site") and not origins and (mode != "navigate" or SIGN_OUT.search(scope["path"])):
            return Refusal(403, "Requests come from pages of this dashboard, not of other sites. Open it by its own address.")
        return None

    def _forbidden(self, scope: Scope, connection: HTTPConnection) -> Refusal | None:
        """Why who sends it may not."""
        if scope["type"] == "websocket":
            return None
        if MEDIA.search(scope["path"]) and not _may_look(connection):
            return Refusal(403, "Files of the dashboard need a sign-in. Sign in, then open the page again.")
        return self._uploads.refusal(scope["method"], scope["path"], connection)


def _closed(path: str) -> Refusal | None:
    """Why all requests are refused while the sign-in settings cannot be used; /readyz and the log say more."""
    if path in PROBES or secrets.why_closed() is None:
        return None
    return Refusal(
        503, "No request is answered while the sign-in settings cannot be used. The log of the dashboard, and /readyz, say what is wrong."
    )


def _may_look(connection: HTTPConnection) -> bool:
    try:
        return caller.person(connection).role is not None
    except HeatproofError:
        return False


def _whole_pages(connection: HTTPConnection, receive: Receive) -> Receive:
    """Once the sign-in of a websocket has ended, a click on a part of a page runs the page as a whole, which asks to sign in.

    Streamlit would draw a part (a fragment) without `app.py`, so without its gate.
    """

    async def receiving() -> Message:
        message = await receive()
        if message["type"] == "websocket.receive" and message.get("bytes") and not _may_look(connection):
            message = {**message, "bytes": _of_whole_page(message["bytes"])}
        return message

    return receiving


def _of_whole_page(data: bytes) -> bytes:
    asked = BackMsg()
    try:
        asked.ParseFromString(data)
    except DecodeError:
        return data  # Streamlit refuses it
    if asked.WhichOneof("type") == "rerun_script":
        asked.rerun_script.ClearField("fragment_id")
        asked.rerun_script.ClearField("is_auto_rerun")
        return asked.SerializeToString()
    return data


def _sign_out(connection: HTTPConnection) -> None:
    """Also where a browser opens the address of the sign-out itself."""
    claims = caller.claims(connection)
    if claims:
        identity.sign_outs().add(claims)


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()  # the handshake, which is then answered by 403
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = {**HEADERS, "cache-control": "no-store", "connection": "close"}
    await PlainTextResponse(f"{refusal.why}\n", refusal.status, headers=headers)(scope, receive, send)


def _with_headers(scope: Scope, send: Send) -> Send:
    """Headers of every response; cookies are marked Secure where the browser came by HTTPS."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if scope["scheme"] == "https":
                message["headers"] = [_secure(name, value) for name, value in message["headers"]]
        await send(message)

    return sending


def _secure(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    unmarked = name.lower() == b"set-cookie" and b"; secure" not in value.lower()
    return name, value + b"; Secure" if unmarked else value


def _shown(values: list[str]) -> Any:
    return ", ".join(ascii(value[:100]) for value in values) or "that is not named"
