"""Where a store is, read from one text and shown without secrets; and how a lake's tables differ."""

from pathlib import Path

import pytest

from core.errors import InputError, StoreError
from core.store import Store, schema
from core.store.backup import restore
from core.store.engines import FileEngine
from core.store.lake import LakeEngine, without_checks
from core.store.url import StoreUrl

POSTGRES = "ducklake:postgres:host=db dbname=heat password=s3cret data_path=/srv/heat"


@pytest.mark.parametrize(
    ("text", "kind", "where", "data", "home"),
    [
        ("data/a.duckdb", "file", "data/a.duckdb", "", "data/a.duckdb"),
        ("ducklake:sqlite:data/a.sqlite", "sqlite", "data/a.sqlite", "data/a.files", "data/a.sqlite"),
        ("ducklake:sqlite:a b.sqlite?data_path=/x y", "sqlite", "a b.sqlite", "/x y", "a b.sqlite"),
        (POSTGRES, "postgres", "host=db dbname=heat password=s3cret", "/srv/heat", "/srv/heat"),
        ("ducklake:postgres:postgresql://u:p@db/h?data_path=s3://b/h", "postgres", "postgresql://u:p@db/h", "s3://b/h", "data/s3-b-h"),
        ("ducklake:postgres:postgres://db/h?sslmode=require&data_path=/d", "postgres", "postgres://db/h?sslmode=require", "/d", "/d"),
    ],
)  # fmt: skip
def test_a_url_is_read_and_written_again(text: str, kind: str, where: str, data: str, home: str) -> None:
    for given in (text, Path(text)):  # a Path makes one slash of two
        url = StoreUrl.parse(given)
        assert (url.kind, url.where) == (kind, where)
    url = StoreUrl.parse(text)
    assert (url.data, url.home) == (data, Path(home))
    assert StoreUrl.parse(str(url)) == url


def test_a_password_is_never_shown() -> None:
    for text in (POSTGRES, "ducklake:postgres:postgresql://u:s3cret@db/h?data_path=/d", POSTGRES.replace("s3cret", "'s3cret 2'")):
        url = StoreUrl.parse(text)
        assert "s3cret" in str(url)
        assert "s3cret" not in url.shown + url.name
    with pytest.raises(InputError, match="names none") as caught:
        StoreUrl.parse("ducklake:postgres:dbname=heat password=s3cret")
    assert "s3cret" not in str(caught.value)


def test_what_cannot_be_a_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names mysql"):
        StoreUrl.parse("ducklake:mysql:db=heat")
    with pytest.raises(StoreError, match="does not exist"):
        Store(f"ducklake:sqlite:{tmp_path / 'none.sqlite'}", create=False)
    with pytest.raises(InputError, match="Restoring replaces a DuckDB file:"):
        restore(tmp_path / "b.duckdb", "ducklake:sqlite:a.sqlite")
    assert not list(tmp_path.iterdir())


def test_checks_go_and_nothing_else() -> None:
    sql = "CREATE TABLE t (a VARCHAR CHECK (a IN ('(', 'y')) NOT NULL, b INTEGER, CHECK ((a = 'x') = (b IS NULL)), CHECK (b > 0));"
    assert without_checks(sql.replace("'('", "'z'")) == "CREATE TABLE t (a VARCHAR NOT NULL, b INTEGER);"


def test_only_a_lake_has_a_layout() -> None:
    layout = schema.clicks.m015_layout()
    assert FileEngine(StoreUrl.parse("a.duckdb")).tables_sql(layout) == ""
    lake = LakeEngine(StoreUrl.parse("ducklake:sqlite:a.sqlite"))
    assert f"CALL {lake.lake}.set_option" in lake.tables_sql(layout)
    assert "CHECK" not in "".join(lake.tables_sql(step()) for step in schema.STEPS)
