"""Segments of the store's clicks, such as devices."""

from core.store.store import Store


def names(store: Store) -> list[str]:
    """Segments that clicks of the store have, the most frequent first; none where no log named any."""
    rows = store.rows("SELECT segment, sum(n_clicks) AS n FROM ingest_segment GROUP BY segment ORDER BY n DESC, segment")
    return [row["segment"] for row in rows]
