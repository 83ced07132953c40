"""Who sends a request to the server, outside of a page: by the cookie of their sign-in, or by the session that a request names.

The only place that looks into Streamlit's server: the names below are those of the version that the requirements pin.
"""

import json
from typing import Any

from starlette.requests import HTTPConnection
from streamlit import runtime
from streamlit.errors import StreamlitSecretNotFoundError
from streamlit.runtime.context import StreamlitHeaders
from streamlit.web.server.starlette import starlette_websocket
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from core.ui.session import identity
from core.ui.session.roles import Person
from core.ui.session.sign_outs import key_of


def claims(connection: HTTPConnection) -> dict[str, Any]:
    """What the identity cookie of a request says; nothing where there is none, or its signature is not the server's."""
    try:
        cookie = starlette_websocket._get_signed_cookie_with_chunks(dict(connection.cookies), USER_COOKIE_NAME)
        found = json.loads(cookie or b"{}")
    except (OSError, ValueError, StreamlitSecretNotFoundError):  # without its secrets the server knows no signature
        return {}
    return found if isinstance(found, dict) else {}


def person(connection: HTTPConnection) -> Person:
    """Who sends a request. Errors as of `identity.person`."""
    return identity.who(claims(connection), connection.headers)


def owner(session_id: str, connection: HTTPConnection) -> Person | None:
    """Whose open session it is, where the request comes from the same sign-in; else None. Errors as of `identity.person`."""
    server = runtime.get_instance() if runtime.exists() else None
    session, client = (server.get_app_session(session_id), server.get_client(session_id)) if server else (None, None)
    context = client.client_context if client else None
    if session is None or context is None:
        return None
    theirs = session._user_info
    found = identity.who(theirs, StreamlitHeaders(context.headers))
    if found.source == "sign-in" and key_of(theirs) != key_of(claims(connection)):
        return None
    return found
