"""The files for whoever runs it: units, image and proxies are what their own programs take, and name what is there."""

import configparser
import json
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from core.store.url import StoreUrl
from core.ui.server.guard import HEADERS
from core.ui.server.hosts import Names

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
UNITS = sorted([*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")])
ENV = dict(line.split("=", 1) for line in (DEPLOY / "heatproof.env").read_text().splitlines() if line and not line.startswith("#"))
HARDENED = {"NoNewPrivileges": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "MemoryMax": "8G"}


def unit(name: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read(DEPLOY / name)
    return found


def program(name: str, why: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed: {why} is not checked")
    return found


@pytest.mark.parametrize("name", [path.name for path in UNITS if path.suffix == ".service"])
def test_services_run_as_nobody_special_on_a_read_only_machine(name: str) -> None:
    service = unit(name)["Service"]
    assert {key: service.get(key) for key in HARDENED} == HARDENED
    assert service["User"] not in ("root", "")
    assert service["StateDirectory"].split()[0] == "heatproof"
    home = StoreUrl.parse(ENV["HEATPROOF_STORE"]).home
    assert home.is_relative_to("/var/lib/heatproof"), "the store lies where the unit may write"
    assert StoreUrl.parse(ENV["HEATPROOF_STORE"]).is_shared, "the nightly job writes while the dashboard has the store"


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    verify = [program("systemd-analyze", "the units' syntax"), "verify", "--man=no"]
    assert len(UNITS) == 3
    for path in UNITS:
        (tmp_path / path.name).write_text(path.read_text().replace("/opt/heatproof/.venv/bin/python", sys.executable))
    done = subprocess.run([*verify, *map(str, tmp_path.iterdir())], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    broken = tmp_path / "heatproof.service"
    broken.write_text(broken.read_text().replace("Restart=on-failure", "Restart=perhaps"))
    assert "perhaps" in subprocess.run([*verify, str(broken)], capture_output=True, text=True, check=False).stderr


def instructions(name: str) -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order."""
    found = re.findall(r"^(?!#)([A-Z]+) (.+)$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    return [(key, value) for key, value in found if name in ("", key)]


def test_the_image_copies_what_is_there_and_only_that_is_sent() -> None:
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [name for _, value in instructions("COPY") for name in value.split()[:-1]]
    assert sorted(copied) == sorted(sent)
    assert all((ROOT / name).exists() for name in copied)
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*", "whatever is not named stays here"
    assert not any(fnmatch(name, "*secret*") for name in copied)


def test_everything_that_runs_is_in_the_image() -> None:
    copied = [name for _, value in instructions("COPY") for name in value.split()[:-1]]
    needed = {"app.py", *(path.name for path in ROOT.iterdir() if path.is_dir() and path.name in ("core", "pages"))}
    assert needed <= set(copied)


def test_the_image_runs_as_a_user_with_a_volume_and_asks_whether_it_is_ready() -> None:
    keys = [key for key, _ in instructions("")]
    assert keys.index("USER") < keys.index("CMD")
    ((_, user),) = instructions("USER")
    assert user != "root"
    assert instructions("VOLUME") == [("VOLUME", "/data")]
    assert "HEATPROOF_STORE=/data/" in instructions("ENV")[-1][1]
    ((_, check),) = instructions("HEALTHCHECK")
    command = json.loads(check.split("CMD ", 1)[1])
    assert "/readyz" in command[-1]
    compile(command[-1], "HEALTHCHECK", "exec")
    ((_, start),) = instructions("CMD")
    assert json.loads(start)[:5] == ["python", "-m", "streamlit", "run", "app.py"]


def test_nginx_takes_its_file_and_it_fits_the_dashboard(tmp_path: Path) -> None:
    text = (DEPLOY / "nginx.conf").read_text()
    upload = re.search(r"maxUploadSize = (\d+)", (ROOT / ".streamlit" / "config.toml").read_text())
    assert upload is not None
    assert f"client_max_body_size {int(upload[1]) + 1}m;" in text
    assert f"location /{ENV['STREAMLIT_SERVER_BASE_URL_PATH']}/ {{" in text
    assert f"server_name {ENV['STREAMLIT_BROWSER_SERVER_ADDRESS']};" in text
    assert "/livez" not in re.sub(r"#.*", "", text), "what machines ask stays inside"
    nginx, openssl = program("nginx", "its example"), program("openssl", "nginx's example")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=heat.example.org", "-days", "2"]
    subprocess.run([*made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    site = re.sub(r"/etc/ssl/certs/[\w.]+", str(certificate), re.sub(r"/etc/ssl/private/[\w.]+", str(key), text))
    temporary = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy"))
    whole = tmp_path / "nginx.conf"

    def check(site: str) -> subprocess.CompletedProcess[str]:
        whole.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{ access_log off; {temporary}\n{site}\n}}")
        command = [nginx, "-t", "-p", str(tmp_path), "-e", str(tmp_path / "error.log"), "-c", str(whole)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = check(site)
    assert done.returncode == 0, done.stderr
    assert check(site.replace("proxy_http_version", "proxy_http")).returncode != 0


SAID = {
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
}


@pytest.mark.parametrize(("name", "line"), [("nginx.conf", r"^\s*add_header {} \"?{}\"? always;"), ("Caddyfile", r"^\s*{} \"?{}\"?$")])
def test_proxies_send_the_headers_that_keep_other_pages_out(name: str, line: str) -> None:
    text = (DEPLOY / name).read_text()
    for header, value in SAID.items():
        assert re.search(line.format(header, re.escape(value)), text, re.MULTILINE), header
    assert {key: value.lower() for key, value in HEADERS.items()} == {
        key.lower(): value.lower() for key, value in SAID.items() if key != "Strict-Transport-Security"
    }


def test_nginx_marks_cookies_and_passes_the_host_on() -> None:
    text = (DEPLOY / "nginx.conf").read_text()
    flags = dict(re.findall(r"proxy_cookie_flags (\S+) ([^;]+);", text))
    assert all("secure" in value and "samesite=lax" in value for value in flags.values())
    assert [name for name, value in flags.items() if "httponly" in value] == ["_streamlit_user", "~^_streamlit_user_", "_streamlit_session"]
    assert list(flags)[-1] == "~", "the first that fits counts"
    hidden = set(re.findall(r"proxy_hide_header (\S+);", text))
    assert {name.lower() for name in hidden} == set(HEADERS), "sent once, by nginx"
    assert "proxy_set_header Host $host;" in text
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in text


def test_the_dashboard_knows_its_public_name_and_proxies_limit_requests() -> None:
    assert ENV["HEATPROOF_HOSTS"] == ENV["STREAMLIT_BROWSER_SERVER_ADDRESS"]
    names = Names.of("127.0.0.1", ENV["HEATPROOF_HOSTS"].split(","))
    assert names.is_page(f"https://{ENV['HEATPROOF_HOSTS']}", 8501)
    upload = re.search(r"maxUploadSize = (\d+)", (ROOT / ".streamlit" / "config.toml").read_text())
    assert upload is not None
    assert int(upload[1]) <= 200
    assert f"max_size {int(upload[1]) + 1}MiB" in (DEPLOY / "Caddyfile").read_text()


def test_caddy_takes_its_file() -> None:
    caddy = program("caddy", "its example")
    command = [caddy, "adapt", "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    routes = json.loads(done.stdout)["apps"]["http"]["servers"]["srv0"]["routes"][0]["handle"][0]["routes"]
    paths = [route["match"][0]["path"][0] for route in routes]
    assert paths.index("/heatproof/_stcore/metrics") < paths.index("/heatproof/*"), "the first that fits answers"


def test_prometheus_asks_for_metrics_that_there_are() -> None:
    source = "".join(re.findall(r'"(\w+)"', (ROOT / "core" / "ui" / "server" / "metrics.py").read_text()))
    asked = {name.removesuffix("_total") for name in re.findall(r"heatproof_(\w+)", (DEPLOY / "prometheus.yml").read_text())}
    assert len(asked) > 3
    assert [name for name in asked if name not in source] == []
