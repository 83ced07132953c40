"""The tables, as numbered steps that are applied once each, in order, each in its own transaction.

Append-only throughout: no sequences, no primary-key upserts, UUIDv7 ids, current state by `QUALIFY` views. A step that
has been released is never edited; a change is a new step. All times are naive UTC.
"""

from collections.abc import Callable

import duckdb

from core.store.schema import access, audits, claims, clicks, embeddings, labels, runs, selections, triage, versions

STEPS: list[Callable[[], str]] = [
    clicks.m001_clicks,
    runs.m002_runs,
    triage.m003_triage,
    embeddings.m004_embeddings,
    runs.m005_left_out,
    labels.m006_labels,
    versions.m007_versions,
    claims.m008_claims,
    access.m009_refusals,
    runs.m010_strangers,
    audits.m011_audits,
    selections.m012_selections,
    runs.m013_tiers,
    clicks.m014_halves,
    clicks.m015_layout,
    triage.m016_seen,
    clicks.m017_taken_back,
    clicks.m018_segments,
    clicks.m019_grid_names,
    runs.m020_grid_changes,
    clicks.m021_mappings,
]
"""SQL of the steps; the record of what was applied names the functions."""


def is_migrated(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether every step was applied, seen without writing anything."""
    try:
        done = {name for (name,) in con.execute("SELECT name FROM migration").fetchall()}
    except duckdb.CatalogException:
        return False
    return all(function.__name__ in done for function in STEPS)


def migrate(con: duckdb.DuckDBPyConnection, tables_sql: Callable[[str], str]) -> list[str]:
    """Applies the steps that this store lacks; returns their names. Each step and its record commit together.

    `tables_sql` turns a step's SQL into that of the store's engine.
    """
    con.execute("CREATE TABLE IF NOT EXISTS migration (name VARCHAR NOT NULL, applied_at TIMESTAMP NOT NULL)")
    done = {name for (name,) in con.execute("SELECT name FROM migration").fetchall()}
    applied = []
    for function in STEPS:
        name = function.__name__
        if name in done:
            continue
        con.execute("BEGIN")
        try:
            con.execute(tables_sql(function()))
            con.execute("INSERT INTO migration VALUES (?, (now() AT TIME ZONE 'UTC')::TIMESTAMP)", [name])
        except BaseException:
            con.execute("ROLLBACK")
            raise
        con.execute("COMMIT")
        applied.append(name)
    return applied
