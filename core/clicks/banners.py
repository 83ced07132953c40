"""Which banner a row of a click log is about.

A log names its banners by combinations of banner_id, grid_id, n_products and domain. Every combination is checked once, ids
and host names are brought to one spelling, and each banner gets a code. Works on temporary tables of one cursor:

    click_known    banners of the store: banner_id, grid_id, n_products, domain as stored, host as `spelling` writes it
    click_checked  combinations with what is wrong with them, their fields in one spelling, domain as host
    click_code     banners of this log, coded in the order of their ids
    click_banner   combinations as the log spells them, with fault, value and the first key of their banner
"""

from collections.abc import Callable, Iterable

import pyarrow as pa

from core.clicks import grid_names, integers
from core.clicks.cancellable import Work
from core.clicks.checks import OTHER_BANNER, UNKNOWN_PRODUCTS, Row, first_fault, quoted
from core.store import spelling

BANNER = ("banner_id", "grid_id", "n_products", "domain")
DERIVED = (
    f"concat_ws('/', {{0}}.grid_id, CASE {{0}}.n_products WHEN {UNKNOWN_PRODUCTS} THEN '?' ELSE {{0}}.n_products::VARCHAR END, {{0}}.{{1}})"
)
"""The id of a banner whose log has none."""


def code_banners(work: Work, row: Row, fields: list[str], known: str) -> str | None:
    """Makes the tables from `click_combination` (f_<field>, problem, n); `known` is a query for the banners of the store.

    Returns what the user should know of ids that stand for several banners; None where there are none.
    """
    _read_known(work, known)
    _check(work, row, fields)
    if row.grid_names:
        named = f"SELECT DISTINCT grid_id, {grid_names.name(row.text('grid_id'))} AS name FROM click_checked WHERE fault IS NULL"
        work.rows(f"CREATE OR REPLACE TEMP TABLE click_grid AS FROM ({named}) WHERE NOT regexp_full_match(name, {integers.WHOLE})")
    _choose(work)
    note = _split(work) if row.match.is_read("split") and "banner_id" in fields else None
    chosen = ", ".join(f"b.f_{name}" for name in fields)
    other = "b.fault IS NULL AND NOT coalesce(b.grid_id = c.grid_id AND b.n_products = c.n_products AND b.domain = c.domain, false)"
    work.rows(f"""
        CREATE OR REPLACE TEMP TABLE click_banner AS
        SELECT {chosen}, CASE WHEN {other} THEN {quoted(OTHER_BANNER)} ELSE b.fault END AS fault,
            CASE WHEN {other} THEN {_difference()} ELSE coalesce(b.value, b.banner_id) END AS value,
            CASE WHEN b.fault IS NULL AND NOT ({other}) THEN CAST(c.code AS BIGINT) * 4294967296 END AS first_key
        FROM click_checked b LEFT JOIN click_code c ON b.banner_id = c.banner_id LEFT JOIN click_known k ON b.banner_id = k.banner_id""")
    return note


def _read_known(work: Work, known: str) -> None:
    work.rows(f"CREATE OR REPLACE TEMP TABLE click_stored AS {known}")
    _spell(work, "click_host", "SELECT domain FROM click_stored", spelling.PLAIN_HOST, spelling.hosts, doubtful="xn--")
    work.rows("""CREATE OR REPLACE TEMP TABLE click_known AS
        SELECT s.*, coalesce(h.spelt, s.domain) AS host FROM click_stored s LEFT JOIN click_host h ON s.domain = h.text""")


def _check(work: Work, row: Row, fields: list[str]) -> None:
    domain = row.name("domain")
    rows = "FROM click_combination WHERE problem IS NULL"
    _spell(work, "click_host", f"SELECT {domain} {rows}", spelling.PLAIN_HOST, spelling.hosts, doubtful="xn--")
    banner_id, join = "NULL::VARCHAR", ""
    if "banner_id" in fields:
        text = row.name("banner_id")
        _spell(work, "click_name", f"SELECT {text} {rows}", spelling.PLAIN_ID, spelling.banner_ids)
        stored = f"{text} IN (SELECT banner_id FROM click_stored)"  # a store may hold ids from before there was one spelling
        banner_id = f"CASE WHEN i.spelt IS NULL OR {stored} THEN {text} ELSE i.spelt END"
        join = f"LEFT JOIN click_name i ON {text} = i.text"
    kept = ", ".join(f"f_{name}" for name in fields)
    faults = row.banner_faults()
    work.rows(f"""
        CREATE OR REPLACE TEMP TABLE click_checked AS
        SELECT t.* EXCLUDE (banner_id), {"t.banner_id" if "banner_id" in fields else _derived_id()} AS banner_id
        FROM (SELECT {kept}, n, domain, banner_id, fault, CASE WHEN fault IS NOT NULL THEN {first_fault(faults, 2)} END AS value,
                CASE WHEN fault IS NULL THEN {row.integer("grid_id")} END AS grid_id,
                CASE WHEN fault IS NULL THEN {row.integer("n_products")} END AS n_products
            FROM (SELECT *, {first_fault(faults, 1)} AS fault
                FROM (SELECT {kept}, n, coalesce(h.spelt, {domain}) AS domain, {banner_id} AS banner_id
                    FROM click_combination LEFT JOIN click_host h ON {domain} = h.text {join} WHERE problem IS NULL))) t
        {"" if "banner_id" in fields else _FORMER}""")


_FORMER = f"""LEFT JOIN (
        SELECT grid_id, n_products, host, coalesce(min(banner_id) FILTER (domain = host), min(banner_id)) AS banner_id
        FROM click_known k WHERE banner_id = {DERIVED.format("k", "domain")} GROUP BY ALL) former
    ON t.grid_id = former.grid_id AND t.n_products = former.n_products AND t.domain = former.host"""
"""Banners of the store that have a derived id, under whatever spelling their host was stored."""


def _derived_id() -> str:
    return f"coalesce(former.banner_id, {DERIVED.format('t', 'domain')})"


def _choose(work: Work) -> None:
    """One grid, n_products and domain a banner_id: the store's, else the combination with the most rows of this log."""
    same = "k.grid_id = t.grid_id AND k.n_products = t.n_products AND k.host = t.domain"
    work.rows(f"""
        CREATE OR REPLACE TEMP TABLE click_code AS
        WITH t AS (SELECT banner_id, grid_id, n_products, domain, sum(n) AS n FROM click_checked WHERE fault IS NULL GROUP BY ALL),
        agreed AS (SELECT t.*, k.banner_id IS NULL AS is_new FROM t LEFT JOIN click_known k USING (banner_id)
            WHERE k.banner_id IS NULL OR ({same})
            QUALIFY row_number() OVER (PARTITION BY t.banner_id ORDER BY n DESC, t.grid_id, t.n_products, t.domain) = 1)
        SELECT *, row_number() OVER (ORDER BY banner_id) - 1 AS code FROM agreed""")


def _split(work: Work) -> str | None:
    """Gives each combination that differs from its banner's own an id of its own: the banner's, and after `~` what differs.

    So one creative on several sites is as many banners, and one whose number of products changes starts another; both are kept. The
    banner with the plain id is the store's, else the one with the most rows, and keeps it in every later log.
    """
    own = {name: f"coalesce(k.{name}, c.{name})" for name in ("grid_id", "n_products")} | {"domain": "coalesce(k.host, c.domain)"}
    differs = " OR ".join(f"b.{name} <> {before}" for name, before in own.items())
    shown = {"grid_id": "'g' || b.grid_id", "n_products": "b.n_products || 'p'", "domain": "b.domain"}
    parts = ", ".join(f"CASE WHEN b.{name} <> {before} THEN {shown[name]} END" for name, before in own.items())
    work.rows(f"""
        CREATE OR REPLACE TEMP TABLE click_version AS
        SELECT DISTINCT b.banner_id, b.grid_id, b.n_products, b.domain, b.banner_id || '~' || concat_ws('~', {parts}) AS version
        FROM click_checked b LEFT JOIN click_code c ON b.banner_id = c.banner_id LEFT JOIN click_known k ON b.banner_id = k.banner_id
        WHERE b.fault IS NULL AND ({differs})""")
    n, example = work.rows("SELECT count(DISTINCT banner_id), min(version) FROM click_version")[0]
    if not n:
        return None
    work.rows("""UPDATE click_checked SET banner_id = v.version FROM click_version v WHERE fault IS NULL
        AND click_checked.banner_id = v.banner_id AND click_checked.grid_id = v.grid_id
        AND click_checked.n_products = v.n_products AND click_checked.domain = v.domain""")
    _choose(work)
    ids = "1 banner_id stands" if n == 1 else f"{n:,} banner_ids stand"
    return (
        f"{ids} for several grids, product counts or domains. Each is a banner of its own, named like {example!r}; "
        "--strict-banners rejects such rows instead."
    )


def _difference() -> str:
    """Which fields differ from the banner's own, and what those are: domain 'b.example', before 'a.example'."""
    numbers = [(f"coalesce(k.{n}, c.{n})", n, f"b.{n}", f"coalesce(k.{n}, c.{n})") for n in ("grid_id", "n_products")]
    before = "coalesce(k.domain, c.domain)"
    hosts = ("coalesce(k.host, c.domain)", "domain", "'''' || b.domain || ''''", f"'''' || {before} || ''''")
    parts = [f"CASE WHEN b.{n} <> {own} THEN '{n} ' || {now} || ', before ' || {was} END" for own, n, now, was in (*numbers, hosts)]
    return f"concat_ws('; ', {', '.join(parts)})"


def _spell(work: Work, table: str, texts: str, plain: str, spell: "Callable[[Iterable[str]], dict[str, str]]", doubtful: str = "") -> None:
    """`table` (text, spelt): the spelling of all `texts` that do not match the pattern `plain`, or contain `doubtful`."""
    odd = f"NOT regexp_full_match(text, '{plain}')" + (f" OR contains(text, '{doubtful}')" if doubtful else "")
    found = work.rows(f"SELECT DISTINCT text FROM ({texts}) AS t(text) WHERE text IS NOT NULL AND ({odd})")
    spelt = spell(text for (text,) in found)
    columns = [pa.array(list(part), pa.string()) for part in (spelt.keys(), spelt.values())]
    work.con.register("click_spelling", pa.table(columns, names=["text", "spelt"]))
    work.rows(f"CREATE OR REPLACE TEMP TABLE {table} AS FROM click_spelling")
    work.con.unregister("click_spelling")
