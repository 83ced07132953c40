"""Ingests as a list, and taking one back: its bins and click digests go, its account and rejects stay, and an event says who and why.

Runs are never changed. A banner that no other ingest has clicks of leaves the list of banners and keeps its labels; the next ingest may
bring it with another grid.
"""

from dataclasses import asdict, dataclass
from typing import Any

import duckdb

from core import logs
from core.clicks.checks import DUPLICATE, OTHER_BANNER, quoted
from core.errors import InputError
from core.store import Store, clock

Row = dict[str, Any]
STATES = {False: "in the store", True: "taken back"}

LIST = """SELECT ingest_id::VARCHAR AS ingest_id, source AS file, finished_at, author, n_rows, n_accepted, n_rejected, n_clicks, n_banners,
        first_day, last_day, undone_at IS NOT NULL AS is_undone, undone_at, undone_by, undone_reason, replaced_by::VARCHAR AS replaced_by
    FROM ingest_current {where} ORDER BY finished_at DESC, ingest_id DESC LIMIT ?"""


@dataclass(frozen=True)
class Effect:
    """What taking an ingest back removes. `n_banner_days` rows of bins; `banners_gone` have clicks of no other ingest, `n_labels` are
    labels on them, which stay. `n_elsewhere` rows of other ingests were rejected since this one was there, in `elsewhere` by file.
    """

    ingest_id: str
    file: str
    n_clicks: int
    n_banner_days: int
    n_banners: int
    banners_gone: int
    n_labels: int
    elsewhere: dict[str, int]

    def to_dict(self) -> Row:
        """For JSON."""
        return asdict(self)

    @property
    def elsewhere_words(self) -> str:
        """What to do about rows that other files lost to this one; empty where there are none."""
        if not self.elsewhere:
            return ""
        files = ", ".join(f"{file} ({n:,})" for file, n in self.elsewhere.items())
        return (
            f"Rows of other files were rejected since this ingest was there: {files}. Take those ingests back and ingest the files again."
        )


def ingests(store: Store, limit: int = 1000) -> list[Row]:
    """Ingests, newest first: ids, file, who and when, rows, clicks, days, and whether it was taken back, by whom and why.

    `author` is None for ingests that did not keep it, `n_clicks` None for counts among them.
    """
    found = store.rows(LIST.format(where=""), [limit])
    return [row | {"state": STATES[row.pop("is_undone")]} for row in found]


def find(store: Store, ingest_id: str) -> Row:
    """The ingest that is in the store with this id, or with an id that begins so.

    Raises InputError where there is none, where the beginning fits several, or where it was taken back before.
    """
    text = ingest_id.strip().lower()
    found = store.rows(LIST.format(where="WHERE starts_with(ingest_id::VARCHAR, ?)"), [text, 3]) if text else []
    if not found:
        raise InputError(f"An ingest is named by its id; {store.url.shown} has none {ingest_id!r}. `ingests` lists them.")
    if len(found) > 1:
        raise InputError(f"An ingest is named by its id; {ingest_id!r} begins several of them. Give more of it.")
    row = found[0]
    if row["is_undone"]:
        raise InputError(
            f"Ingest {row['ingest_id']} ({row['file']}) was taken back before, by {row['undone_by']} on "
            f"{row['undone_at']:%Y-%m-%d %H:%M} UTC: {row['undone_reason']}. Nothing was changed; ingest the file again to have its clicks."
        )
    return row


def effect(store: Store, ingest_id: str) -> Effect:
    """What taking an ingest back would remove. Errors as of `find`."""
    row = find(store, ingest_id)
    with store.cursor() as cursor:
        return _effect(cursor, row)


def undo(store: Store, ingest_id: str, author: str, reason: str = "") -> Effect:
    """Takes an ingest back, in one transaction; returns what went. Errors as of `find`, and InputError without an author."""
    if not author.strip():
        raise InputError("Taking an ingest back is done under a name, and none was given. Give one by --author.")
    with store.locks["ingest"], store.transaction() as cursor:  # an ingest in work has compared its clicks with those that would go
        row = find(store, ingest_id)
        done = _effect(cursor, row)
        take_back(cursor, row["ingest_id"], author.strip(), reason.strip() or "no reason given")
    logs.event("ingest_undone", ingest=done.ingest_id, file=done.file, clicks=done.n_clicks, banners_gone=done.banners_gone)
    return done


def take_back(cursor: duckdb.DuckDBPyConnection, ingest_id: str, author: str, reason: str, replaced_by: str | None = None) -> None:
    """Removes what an ingest added and writes the event, inside the caller's transaction."""
    values = {"id": ingest_id}
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE banner_heirs AS {_heirs('$id')}", values)
    cursor.execute("DELETE FROM heatmap_day WHERE ingest_id = $id", values)
    cursor.execute("DELETE FROM click_seen WHERE ingest_id = $id", values)
    cursor.execute("DELETE FROM ingest_segment WHERE ingest_id = $id", values)
    cursor.execute("DELETE FROM banner WHERE banner_id IN (SELECT banner_id FROM banner_heirs WHERE heir IS NULL)")
    cursor.execute("UPDATE banner SET ingest_id = h.heir FROM banner_heirs h WHERE banner.banner_id = h.banner_id AND h.heir IS NOT NULL")
    cursor.execute("DROP TABLE banner_heirs")
    at = clock.moment(cursor, "ingest_undo", "ingest")
    event = f"INSERT INTO ingest_undo VALUES ({clock.id_sql(at)}, ?, ?, ?, ?, ?)"
    cursor.execute(event, [at, ingest_id, author, reason, replaced_by])


def _heirs(ingest_id: str) -> str:
    """Query of the banners that an ingest brought first: banner_id, and the ingest that is the first then, NULL where none has clicks."""
    return f"""SELECT b.banner_id, arg_min(h.ingest_id, (i.finished_at, i.ingest_id)) AS heir
        FROM (SELECT banner_id FROM banner WHERE ingest_id = {ingest_id}) b
        LEFT JOIN (SELECT DISTINCT banner_id, ingest_id FROM heatmap_day WHERE ingest_id <> {ingest_id}) h USING (banner_id)
        LEFT JOIN ingest i ON i.ingest_id = h.ingest_id GROUP BY b.banner_id"""


def known_without(ingest_ids: list[str]) -> str:
    """Query of the banners that stay known once these ingests are taken back: banner_id, grid_id, n_products, domain."""
    columns = "SELECT banner_id, grid_id, n_products, domain FROM banner"
    if not ingest_ids:
        return columns
    ids = _list(ingest_ids)
    others = f"SELECT banner_id FROM heatmap_day WHERE ingest_id NOT IN ({ids})"
    return f"{columns} b WHERE b.ingest_id NOT IN ({ids}) OR EXISTS (FROM ({others}) o WHERE o.banner_id = b.banner_id)"


def seen_without(ingest_ids: list[str]) -> str:
    """Query of the click digests that stay once these ingests are taken back: click_key."""
    where = f" WHERE ingest_id NOT IN ({_list(ingest_ids)})" if ingest_ids else ""
    return f"SELECT (high::UHUGEINT << 64) + low AS click_key FROM click_seen{where}"


def segments_without(ingest_ids: list[str]) -> str:
    """Query of the segments that stay known once these ingests are taken back, the most frequent first: segment."""
    where = f" WHERE ingest_id NOT IN ({_list(ingest_ids)})" if ingest_ids else ""
    return f"SELECT segment FROM ingest_segment{where} GROUP BY segment ORDER BY sum(n_clicks) DESC, segment"


def _list(ingest_ids: list[str]) -> str:
    return ", ".join(f"{quoted(ingest_id)}::UUID" for ingest_id in ingest_ids)


def _effect(cursor: duckdb.DuckDBPyConnection, row: Row) -> Effect:
    ingest_id = row["ingest_id"]
    n_days, n_clicks, n_banners = cursor.execute(
        "SELECT count(*), coalesce(sum(n_clicks), 0)::BIGINT, count(DISTINCT banner_id) FROM heatmap_day WHERE ingest_id = ?", [ingest_id]
    ).fetchall()[0]
    gone = f"SELECT banner_id FROM ({_heirs(quoted(ingest_id) + '::UUID')}) WHERE heir IS NULL"
    n_gone = cursor.execute(f"SELECT count(*) FROM ({gone})").fetchall()[0][0]
    n_labels = cursor.execute(f"SELECT count(*) FROM label_current WHERE banner_id IN ({gone})").fetchall()[0][0]
    return Effect(ingest_id, row["file"], n_clicks, n_days, n_banners, n_gone, n_labels, _elsewhere(cursor, ingest_id, gone))


def _elsewhere(cursor: duckdb.DuckDBPyConnection, ingest_id: str, gone: str) -> dict[str, int]:
    """Rows of other ingests that are still in the store, rejected as duplicates of this one's clicks or for one of its banners, by file."""
    rows = cursor.execute(
        f"""SELECT r.source, count(*) FROM reject r JOIN ingest_current i USING (ingest_id)
            WHERE i.undone_at IS NULL AND r.ingest_id <> $id::UUID AND (
                (r.reason = {quoted(DUPLICATE)} AND md5_number(r.value) IN
                    (SELECT (high::UHUGEINT << 64) + low FROM click_seen WHERE ingest_id = $id::UUID))
                OR (r.reason = {quoted(OTHER_BANNER)} AND r.value IN ({gone})))
            GROUP BY r.source ORDER BY r.source""",
        {"id": ingest_id},
    ).fetchall()
    return {source: int(n) for source, n in rows}
