"""A browser's side of Streamlit's protocol, without a browser: a websocket, cookies and uploads, as whoever a signed cookie names."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from websockets.sync.client import ClientConnection, connect

SECRET = "a cookie secret of the tests alone, long enough"
SECRETS = f"""
[auth]
redirect_uri = "http://127.0.0.1:{{port}}/oauth2callback"
cookie_secret = "{SECRET}"
client_id = "heatproof"
client_secret = "a secret of the tests alone, 32 characters"
server_metadata_url = "http://127.0.0.1:1/.well-known/openid-configuration"

[heatproof.roles]
"olga@example.org" = "admin"
"vera@example.org" = "viewer"
"""


def claims(who: str, **more: Any) -> dict[str, Any]:
    """What a provider says about a person who signed in now."""
    about = {"sub": who, "iss": "https://id.example.org", "email": f"{who}@example.org", "email_verified": True, "provider": "default"}
    return {**about, "iat": int(time.time()), "nonce": str(time.monotonic_ns()), **more}


class Visitor:
    """One browser: its cookies, and requests to the dashboard on a port of this machine."""

    def __init__(self, port: int, who: dict[str, Any] | None = None, secret: str = SECRET) -> None:
        self.port, self.origin = port, f"http://127.0.0.1:{port}"
        self.cookies: dict[str, str] = {}
        if who is not None:
            payload = json.dumps({**who, "origin": self.origin, "is_logged_in": True})
            self.cookies["_streamlit_user"] = create_signed_value(secret, "_streamlit_user", payload).decode()
        status, headers, _ = self.ask("GET", "/_stcore/health")
        assert status == 200
        self.cookies["_streamlit_xsrf"] = headers["set-cookie"].split(";")[0].split("=", 1)[1].strip('"')

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, bytes]:
        """Status, headers and body; headers with _ in the place of -. `body` bytes, or chunks."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"Cookie": self.cookie(), **{name.replace("_", "-"): value for name, value in headers.items()}}
        try:
            connection.request(method, path, body, {name: value for name, value in sent.items() if value})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def cookie(self) -> str:
        """The Cookie header."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    @contextmanager
    def tab(self, page: str = "data", **options: Any) -> Iterator["Tab"]:
        """An open page."""
        token = self.cookies["_streamlit_xsrf"].split("|")
        options = {"origin": self.origin, "subprotocols": ["streamlit", "|".join(token)], **options}
        headers = {"Cookie": self.cookie(), **options.pop("headers", {})}
        address = f"ws://127.0.0.1:{self.port}/_stcore/stream"
        with connect(address, additional_headers=headers, max_size=None, proxy=None, **options) as socket:
            opened = Tab(socket)
            opened.run(page)
            yield opened

    def put(self, session: str, size: int, name: str = "a.csv", **headers: str) -> int:
        """The status of an upload of so many bytes to a session."""
        head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'
        body = head.encode() + b"x" * size + b"\r\n--b--\r\n"
        sent = {"Content_Type": "multipart/form-data; boundary=b", "X_Xsrftoken": self.cookies["_streamlit_xsrf"], **headers}
        try:
            return self.ask("PUT", f"/_stcore/upload_file/{session}/{time.monotonic_ns()}", body, **{"Origin": self.origin, **sent})[0]
        except (BrokenPipeError, ConnectionResetError):
            return 0  # refused and closed while still sending


class Tab:
    """An open websocket. `session`: the id that Streamlit gave it; `seen`: everything it was sent, as text."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.session, self.seen = "", ""

    def run(self, page: str, fragment: str = "") -> str:
        """Runs a page, or a part of it, to its end; returns what it showed."""
        message = BackMsg()
        message.rerun_script.page_name = page
        message.rerun_script.fragment_id = fragment
        message.rerun_script.context_info.url = "http://localhost"
        self._socket.send(message.SerializeToString())
        shown = ""
        for _ in range(5000):
            got = ForwardMsg()
            got.ParseFromString(self._socket.recv(timeout=60))  # type: ignore[arg-type]
            shown += str(got)
            if got.WhichOneof("type") == "new_session":
                self.session = got.new_session.initialize.session_id or self.session
            if got.WhichOneof("type") == "script_finished" and got.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                break
        self.seen += shown
        return shown

    def settled(self, page: str = "data", fragment: str = "") -> str:
        """What a page shows after some runs: the first may be those that the server began itself."""
        return [self.run(page, fragment) for _ in range(3)][-1]
