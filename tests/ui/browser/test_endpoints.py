"""/livez, /readyz and /metrics: of a real dashboard process, and who is told what."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.store import Store
from core.ui.server import endpoints
from tests.support.browser import ROOT, free_port
from tests.support.stores import filled_store


def get(address: str, path: str) -> tuple[int, str]:
    """Status and body."""
    try:
        with urllib.request.urlopen(f"{address}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_until_live(address: str) -> None:
    for _ in range(200):
        try:
            if get(address, "/livez") == (200, "ok\n"):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the dashboard never answered")


def test_a_dashboard_is_live_then_ready_and_not_once_its_store_is_gone(tmp_path: Path) -> None:
    path, log = tmp_path / "s.duckdb", tmp_path / "log"
    held = filled_store(path, 100)
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.baseUrlPath", "deep/down"]
    env = {**os.environ, "HEATPROOF_STORE": str(path), "HEATPROOF_LOG": "json"}
    with log.open("wb") as stderr:
        server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=stderr)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_live(address)
        status, why = get(address, "/readyz")
        assert (status, f"held by PID {os.getpid()}" in why) == (503, True)
        assert "heatproof_store_up 0.0" in get(address, "/metrics")[1]
        held.close()
        assert get(address, "/readyz") == (200, "ready\n")
        families = {family.name: family for family in text_string_to_metric_families(get(address, "/metrics")[1])}
        assert families["heatproof_last_run_banners"].samples[0].value == 100
        assert get(address, "/deep/down/_stcore/health") == (200, "ok")
        path.unlink()
        status, why = get(address, "/readyz")
        assert (status, f"{path} is gone" in why) == (503, True)
        assert get(address, "/livez")[0] == 200
    finally:
        server.terminate()
        server.wait(20)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["store_opened"], "every line of the log is JSON, and nothing else was worth one"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty store, which the endpoints of this process serve."""
    path = tmp_path / "s.duckdb"
    Store(path).close()
    monkeypatch.setenv("HEATPROOF_STORE", str(path))
    yield path
    st.cache_resource.clear()


def client(host: str = "127.0.0.1", name: str = "127.0.0.1") -> TestClient:
    """Somebody who asks from a host, for a host name."""
    return TestClient(Starlette(routes=endpoints.ROUTES), base_url=f"http://{name}", client=(host, 50000))


@pytest.mark.parametrize(
    ("host", "name", "headers", "status"),
    [
        ("127.0.0.1", "localhost:8501", {}, 200),
        ("::1", "[::1]:8501", {}, 200),
        ("10.0.0.9", "127.0.0.1", {}, 403),
        ("127.0.0.1", "heat.example.org", {}, 403),
        ("127.0.0.1", "127.0.0.1", {"X-Forwarded-For": "10.0.0.9"}, 403),
    ],
)
def test_metrics_are_for_this_machine_unless_told_otherwise(
    path: Path, host: str, name: str, headers: dict[str, str], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEATPROOF_METRICS", raising=False)
    assert client(host, name).get("/metrics", headers=headers).status_code == status
    monkeypatch.setenv("HEATPROOF_METRICS", "all")
    assert "heatproof_store_up 1.0" in client(host, name).get("/metrics", headers=headers).text
    monkeypatch.setenv("HEATPROOF_METRICS", "off")
    assert client(host, name).get("/metrics", headers=headers).status_code == 404


def test_only_this_machine_is_told_why_it_is_not_ready(path: Path) -> None:
    with Store(path):
        st.cache_resource.clear()
    path.write_bytes(b"this is no database")
    here, there = client().get("/readyz"), client("10.0.0.9").get("/readyz")
    assert (here.status_code, there.status_code) == (503, 503)
    assert f"{path} is not a store" in here.text
    assert there.text == "not ready\n"
    assert here.headers["cache-control"] == "no-store"


def test_a_store_that_hangs_is_not_ready_in_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "_ready", endpoints.OneAtATime(lambda: time.sleep(1)))
    monkeypatch.setattr(endpoints, "READY_S", 0.05)
    began = time.monotonic()
    answer = client().get("/readyz")
    assert (answer.status_code, "A store answers within 0.05 s" in answer.text) == (503, True)
    assert time.monotonic() - began < 0.9
