"""Ingests, rejects and detectors: what the Data page shows."""

from core.store.queries.runs import Row
from core.store.store import Store


def ingests(store: Store, limit: int = 50) -> list[Row]:
    """Ingests, newest first."""
    return store.rows(
        """SELECT ingest_id::VARCHAR AS ingest_id, source, n_bytes, n_rows, n_accepted, n_rejected, n_banners, first_day, last_day,
                  mapping::VARCHAR AS mapping, started_at, finished_at
           FROM ingest ORDER BY finished_at DESC LIMIT ?""",
        [limit],
    )


def reject_reasons(store: Store, ingest_id: str | None = None) -> list[Row]:
    """Rejected rows by reason, most frequent first, of one ingest or of all."""
    where, values = ("WHERE ingest_id = ?", [ingest_id]) if ingest_id else ("", [])
    return store.rows(f"SELECT reason, count(*) AS n, min(line) AS first_line FROM reject {where} GROUP BY reason ORDER BY n DESC", values)


def rejects(store: Store, ingest_id: str | None = None, reason: str | None = None, limit: int = 200) -> list[Row]:
    """Rejected rows with their lines, in the order of the file."""
    parts, values = ["TRUE"], []
    for column, value in (("ingest_id", ingest_id), ("reason", reason)):
        if value is not None:
            parts.append(f"{column} = ?")
            values.append(value)
    where = " AND ".join(parts)
    return store.rows(f"SELECT source, line, reason, value, raw FROM reject WHERE {where} ORDER BY source, line LIMIT ?", [*values, limit])


def detectors(store: Store, run_id: str) -> list[Row]:
    """Detectors of a run: family, what it reads, seconds, weights."""
    return store.rows(
        """SELECT detector, family, reads, fit_s, score_s, n_scored, weights FROM run_detector WHERE run_id = ?
           ORDER BY family, detector""",
        [run_id],
    )
