"""Empty stores on every engine, made once and then copied; PostgreSQL runs in a cluster of its own that goes with the tests."""

import itertools
import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from core.store import Store

ENGINES = ("file", "sqlite", "postgres")
USER = "heatproof"
NUMBERS = itertools.count(1)


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's programs: where Debian puts the newest, or of the path."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = versions[-1] if versions else shutil.which("initdb")
    return Path(found).parent if found else None


class Cluster:
    """A running PostgreSQL that listens on a socket in its own folder only."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs = folder, programs

    def run(self, program: str, *options: str) -> None:
        """Runs one of PostgreSQL's programs, as a user who is not root."""
        command = [str(self.programs / program), *options]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off -c max_connections=200"
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Stops it at once: its connections break off."""
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")

    def sql(self, text: str, database: str = "postgres") -> None:
        """Runs one statement."""
        self.run("psql", "-q", "-h", str(self.folder), "-U", USER, "-d", database, "-c", text)

    def url(self, database: str, data: Path) -> str:
        """A store in a database."""
        return f"ducklake:postgres:host={self.folder} user={USER} dbname={database} data_path={data}"


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Makes and starts one; skips the test where PostgreSQL is not installed."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    if os.geteuid() == 0 and "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    folder = Path(tempfile.mkdtemp(prefix="hp-pg-"))  # a socket's path has at most 107 characters
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        found = Cluster(folder, programs)
        found.run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", USER, "--no-sync", "-E", "UTF8", "--locale=C")
        found.start()
        try:
            yield found
        finally:
            found.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Places:
    """Stores for tests, copied from templates: those of a lake have their tables, an empty file is not there yet."""

    def __init__(self, engine: str, folder: Path, server: Cluster | None) -> None:
        self.engine, self.folder, self.server = engine, folder, server
        self._databases: dict[str, str] = {}
        if engine != "file":
            self.template("empty", lambda store: None)

    def new(self, folder: Path, name: str, template: str = "empty") -> str:
        """The URL of a store in a folder."""
        if self.engine == "file":
            return self._new_file(folder / f"{name}.duckdb", template)
        shutil.copytree(self.folder / f"{template}.files", folder / f"{name}.files")
        moved = f"UPDATE ducklake_metadata SET value = '{folder / name}.files/' WHERE key = 'data_path'"
        if self.engine == "sqlite":
            catalogue = folder / f"{name}.sqlite"
            shutil.copy(self.folder / f"{template}.sqlite", catalogue)
            with closing(sqlite3.connect(catalogue)) as con, con:
                con.execute(moved)
            return f"ducklake:sqlite:{catalogue}"
        assert self.server is not None
        database = f"store{next(NUMBERS)}"
        self.server.sql(f"CREATE DATABASE {database} TEMPLATE {self._databases[template]}")
        self.server.sql(moved, database)
        return self.server.url(database, folder / f"{name}.files")

    def template(self, name: str, fill: Callable[[Store], None]) -> None:
        """Makes a template once, in which `fill` has put something."""
        if name in self._databases:
            return
        self._databases[name] = database = f"pattern{next(NUMBERS)}"
        files = self.folder / f"{name}.files"
        files.mkdir()
        if self.engine == "postgres":
            assert self.server is not None
            self.server.sql(f"CREATE DATABASE {database}")
            url = self.server.url(database, files)
        else:
            url = f"ducklake:sqlite:{self.folder / name}.sqlite" if self.engine == "sqlite" else str(self.folder / f"{name}.duckdb")
        with Store(url) as store:
            fill(store)

    def _new_file(self, target: Path, template: str) -> str:
        if template != "empty":
            shutil.copy(self.folder / f"{template}.duckdb", target)
        return str(target)
