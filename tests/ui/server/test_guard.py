"""Who is answered by a real server: by Host and Origin, by role, after a sign-out, and without its secrets."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.exceptions import InvalidStatus

from core.ui.server.guard import HEADERS
from tests.support.browser import ROOT, free_port
from tests.support.stores import filled_store
from tests.support.visitor import SECRETS, Visitor, claims

MB = 1024 * 1024
ASKS = "Sign in to see this dashboard"
SHOWN = "Is the machine fed"


@dataclass
class Served:
    """A running dashboard: its port, process, secrets, store and log."""

    port: int
    process: subprocess.Popen[bytes]
    secrets: Path
    store: Path
    log: Path

    def memory(self) -> int:
        """Bytes that the process holds."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextmanager
def served(folder: Path, *options: str, signed_in: bool = True, port: int | None = None, **env: str) -> Iterator[Served]:
    """A dashboard on a port of its own, with sign-in unless told otherwise."""
    store, secrets, log, port = folder / "s.duckdb", folder / "secrets.toml", folder / "log", port or free_port()
    if not store.exists():
        filled_store(store, 60).close()
    if signed_in and not secrets.exists():
        secrets.write_text(SECRETS.format(port=port))
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--secrets.files", str(secrets), *options]
    given = {**os.environ, "HEATPROOF_STORE": str(store), "HEATPROOF_LOG": "text", **env}
    with log.open("ab") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=file, stderr=file)
    try:
        for _ in range(300):
            try:
                Visitor(port)
                break
            except OSError:
                time.sleep(0.1)
        yield Served(port, process, secrets, store, log)
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("local"), signed_in=False, HEATPROOF_HOSTS="heat.example.org, 10.1.2.3:9000") as site:
        yield site


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("shared"), "--server.maxUploadSize", "20") as site:
        yield site


PATHS = [
    "/",
    "/data",
    "/_stcore/health",
    "/_stcore/host-config",
    "/media/x.csv",
    "/_stcore/agent/openapi.json",
    "/oauth2callback",
    "/static/x",
]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:{port}", 200), ("127.0.0.1:{port}", 200), ("[::1]:{port}", 200), ("LocalHost.:{port}", 200),
        ("heat.example.org", 200), ("heat.example.org:443", 200), ("heat.example.org:{port}", 200), ("10.1.2.3:9000", 200),
        ("attacker.example", 403), ("attacker.example:{port}", 403), ("localhost", 403), ("localhost:1", 403), ("127.0.0.2:{port}", 403),
        ("heat.example.org:9", 403), ("10.1.2.3", 403), ("10.1.2.3:{port}", 403), ("heat.example.org.attacker.example", 403),
        ("localhost:{port}@attacker.example", 403), ("127.1:{port}", 403), ("2130706433:{port}", 403), ("0.0.0.0:{port}", 403),
        ("localhost.attacker.example:{port}", 403), ("localhost:{port}, attacker.example", 403), (" ", 403),
    ],
)  # fmt: skip
def test_a_host_that_is_not_the_dashboards_is_refused(local: Served, host: str, status: int) -> None:
    named = host.format(port=local.port)
    found, headers, body = Visitor(local.port).ask("GET", "/", Host=named)
    assert found == status
    if status == 403:
        assert b"set HEATPROOF_HOSTS" in body
        assert {headers[name] for name in HEADERS} == set(HEADERS.values())


@pytest.mark.parametrize("path", PATHS)
def test_no_path_is_left_out(local: Served, path: str) -> None:
    visitor = Visitor(local.port)
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        assert visitor.ask(method, path, Host="attacker.example")[0] == 403
        for origin in (
            f"http://localhost:{local.port + 1}",
            "null",
            "https://attacker.example",
            f"http://127.0.0.1:{local.port}.attacker.example",
        ):
            assert visitor.ask(method, path, Origin=origin)[0] == 403
        for site in ("cross-site", "same-site"):
            assert visitor.ask(method, path, Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors")[0] == 403
    assert visitor.ask("GET", path, Origin=f"http://localhost:{local.port}")[0] not in (0, 403)


def test_machines_ask_by_any_host_and_pages_of_others_do_not(local: Served) -> None:
    visitor = Visitor(local.port)
    for path, status in (("/livez", 200), ("/readyz", 200), ("/metrics", 403)):
        assert visitor.ask("GET", path, Host="10.0.0.7:8501")[0] == status
        assert visitor.ask("GET", path, Origin="http://localhost:9")[0] == 403
        assert visitor.ask("GET", path)[0] == 200


@pytest.mark.parametrize(
    ("origin", "host"),
    [("http://localhost:1", None), ("http://attacker.example", "attacker.example"), ("null", None), ("http://heat.example.org:9", None)],
)
def test_the_websocket_of_another_page_is_refused(local: Served, origin: str, host: str | None) -> None:
    headers = {"Host": host} if host else {}
    with pytest.raises(InvalidStatus) as caught, Visitor(local.port).tab(origin=origin, headers=headers):
        pass
    assert caught.value.response.status_code in (400, 403)


def test_pages_of_the_dashboard_are_answered_under_each_of_its_names(local: Served) -> None:
    for origin in (f"http://127.0.0.1:{local.port}", f"http://localhost:{local.port}", None):
        with Visitor(local.port).tab(origin=origin) as tab:
            assert ASKS not in tab.seen
            assert tab.session


def test_headers_of_every_response(local: Served) -> None:
    for path in ("/", "/livez", "/_stcore/health", "/nowhere/x.js"):
        headers = Visitor(local.port).ask("GET", path)[1]
        assert {name: headers[name] for name in HEADERS} == HEADERS
    cookie = Visitor(local.port).ask("GET", "/_stcore/health", X_Forwarded_Proto="https", Host="heat.example.org")[1]["set-cookie"]
    assert "; Secure" in cookie
    assert "SameSite" in cookie


def test_an_invalid_public_name_stops_the_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(free_port())]
    env = {**os.environ, "HEATPROOF_STORE": str(tmp_path / "s.duckdb"), "HEATPROOF_HOSTS": "https://heat.example.org/"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode
    assert "HOST or HOST:PORT" in done.stderr


def test_uploads_need_a_page_and_the_role_of_its_sign_in(shared: Served) -> None:
    olga, vera, nobody = Visitor(shared.port, claims("olga")), Visitor(shared.port, claims("vera")), Visitor(shared.port)
    forged = Visitor(shared.port, claims("olga"), secret="another secret that the server does not have")
    with olga.tab() as hers, vera.tab() as veras, nobody.tab() as open_page, forged.tab() as faked:
        assert ASKS in open_page.seen
        assert ASKS in faked.seen
        assert ASKS not in hers.seen
        sessions = [hers.session, veras.session, open_page.session, faked.session, "8a3f-no-session", "", ".."]
        for visitor in (vera, nobody, forged, Visitor(shared.port, claims("olga"))):
            assert {visitor.put(session, 1000) for session in sessions if session} <= {400, 403, 404, 405}
        assert {olga.put(session, 1000) for session in sessions[1:5]} == {403}
        assert olga.put(hers.session, 1000, X_Xsrftoken="x") == 403
        assert olga.put(hers.session, 1000, Origin="http://localhost:1") == 403
        assert olga.put(hers.session, 1000) == 204
    assert olga.put(hers.session, 1000) == 403, "its page is closed"


def test_what_uploads_take_of_the_memory_is_bounded(shared: Served) -> None:
    olga = Visitor(shared.port, claims("olga"))
    with olga.tab() as tab:
        before = shared.memory()
        assert olga.put(tab.session, 30 * MB) in (413, 0)
        sizes = [olga.put(tab.session, 18 * MB) for _ in range(6)]
        assert sizes.count(204) == 2
        assert set(sizes) <= {204, 429, 0}
        assert shared.memory() - before < 150 * MB
        size = str(1 << 60)
        assert olga.ask("PUT", f"/_stcore/upload_file/{tab.session}/x", b"", Content_Length=size, Origin=olga.origin)[0] == 413
    nobody = Visitor(shared.port)
    with nobody.tab() as tab:
        before = shared.memory()
        assert {nobody.put(tab.session, 15 * MB) for _ in range(5)} <= {403, 0}
        assert shared.memory() - before < 50 * MB


def test_files_need_a_sign_in(shared: Served) -> None:
    assert Visitor(shared.port).ask("GET", "/media/anything.csv")[0] == 403
    assert Visitor(shared.port, claims("vera")).ask("GET", "/media/anything.csv")[0] == 404


def test_a_sign_out_ends_every_tab_and_copy_of_its_cookie_and_no_other_sign_in(shared: Served) -> None:
    hers, again = claims("olga"), Visitor(shared.port, claims("olga"))
    olga, copied = Visitor(shared.port, hers), Visitor(shared.port, hers)
    with olga.tab() as first, copied.tab() as second, again.tab() as other:
        assert copied.put(second.session, 1000) == 204
        assert olga.ask("GET", "/auth/logout", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 403
        assert olga.ask("GET", "/auth/logout", Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="navigate")[0] == 302
        assert copied.put(second.session, 1000) == 403
        assert ASKS in first.settled()
        assert ASKS in second.settled(fragment="of-a-page-that-was-open"), "a part of a page runs it as a whole"
        assert ASKS not in other.settled()
    with copied.tab() as replayed:
        assert ASKS in replayed.seen
        assert "You signed out" in replayed.seen
        assert copied.put(replayed.session, 1000) == 403
    assert copied.ask("GET", "/media/anything.csv")[0] == 403


def test_a_sign_out_outlives_a_restart(tmp_path: Path) -> None:
    hers, port = claims("olga"), free_port()
    with served(tmp_path, port=port):
        Visitor(port, hers).ask("GET", "/auth/logout")
    with served(tmp_path, port=port), Visitor(port, hers).tab() as tab:
        assert "You signed out" in tab.seen, tab.seen[-3000:]


LOST: dict[str, Any] = {
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_text(""),
    "no TOML": lambda path: path.write_text("[auth\n"),
    "no UTF-8": lambda path: path.write_bytes(b"\xff\xfe[auth]"),
    "no [auth]": lambda path: path.write_text('[heatproof.roles]\n"mallory@example.org" = "admin"\n'),
    "no provider": lambda path: path.write_text("\n".join(line for line in path.read_text().splitlines() if "client_id" not in line)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("how", LOST)
def test_a_server_that_has_seen_a_sign_in_never_does_without(tmp_path: Path, how: str) -> None:
    with served(tmp_path) as site:
        olga = Visitor(site.port, claims("olga"))
        kept = site.secrets.read_text()
        with olga.tab() as tab:
            LOST[how](site.secrets)
            for _ in range(100):
                if olga.ask("GET", "/readyz")[0] == 503:
                    break
                time.sleep(0.1)
            status, _, why = olga.ask("GET", "/readyz")
            assert status == 503
            assert b"ecrets" in why
            assert "ecrets" in tab.settled(fragment="x")
            assert olga.put(tab.session, 1000) == 503
        for path in ("/", "/data", "/media/anything.csv", "/_stcore/host-config", "/auth/login"):
            assert olga.ask("GET", path)[0] == 503
        with pytest.raises(InvalidStatus), olga.tab():
            pass
        assert "sign_in_closed" in site.log.read_text()
        if site.secrets.is_dir():
            site.secrets.rmdir()
        site.secrets.write_text(kept)
        for _ in range(100):
            if olga.ask("GET", "/readyz")[0] == 200:
                break
            time.sleep(0.1)
        with olga.tab() as opened:
            assert ASKS not in opened.seen
