"""Judges every row of one click log: accepted with its banner, day and bin, or rejected with a reason and its line.

Everything happens in temporary tables of one cursor:

    click_rows    view   the log's fields; `click_lines` also has each row's line and text, which costs more to read
    click_banner  table  each combination of banner_id, grid_id, n_products, domain, what is wrong with it, its code
    click_code    table  the banners, coded in the order of their ids
    click_staged  table  accepted keys, with digests of click ids (only where they are needed twice)
    click_reject  table  line, reason, value, raw
    click_heat    table  the rows of `heatmap_day`

The fast way reads the log twice: combinations, then keys. Only where these say that rows are missing are lines looked for.
"""

import os
import threading
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from core.clicks import dates
from core.clicks.banners import BANNER, code_banners
from core.clicks.binning import BIN_BITS, SCHEMA, Heat, heat_batches
from core.clicks.cancellable import Work
from core.clicks.checks import CUT_OFF, DUPLICATE, Row, first_fault, quoted
from core.clicks.checksums import verify_pages
from core.clicks.columns import Match
from core.clicks.damage import readable
from core.clicks.fast_reader import raw_sql, rows_sql
from core.clicks.grid_names import has_names
from core.clicks.reading import how_read
from core.clicks.segments import MIN_COVERED, MOST, Segments, unused
from core.clicks.slow_reader import MAX_RAW, repair
from core.clicks.source import UNFINISHED, Source
from core.errors import InputError

MIN_GUESSED, MAX_REPEATS = 20, 10
"""A click_id without a mapping: from this many rows on, its values may stand this often each on average."""

CUT_FORMS = ("too few fields", "not a JSON object", "quote never closed", "not UTF-8")
"""What is wrong with the form of a line whose end is missing."""

MAX_KEYS = 25_000_000
"""Keys sorted at a time: 200 MB."""

NO_BANNERS = "SELECT NULL::VARCHAR AS banner_id, NULL::BIGINT AS grid_id, NULL::SMALLINT AS n_products, NULL::VARCHAR AS domain LIMIT 0"
NO_CLICKS = "SELECT NULL::UHUGEINT AS click_key LIMIT 0"
NO_SEGMENTS = "SELECT NULL::VARCHAR AS segment LIMIT 0"


class Judge:
    """Judges `source`; `known`, `seen` and `segments` are queries for the banners, click digests and segments that were there before.

    After `judge()`: `n_rows`, `n_accepted`, `rejected` (reason -> rows), `notes` for the user, and the tables of this module.
    `folder` takes the repaired text of a log that is not plain. `now` (naive UTC) is the day of
    counts that have none; a click later than a day after it is rejected.
    """

    def __init__(
        self,
        work: Work,
        source: Source,
        match: Match,
        folder: Path,
        now: datetime,
        *,
        known: str = NO_BANNERS,
        seen: str = NO_CLICKS,
        segments: str = NO_SEGMENTS,
    ) -> None:
        self.work, self.source, self.match, self.folder = work, source, match, folder
        self.known, self.seen, self.known_segments = known, seen, segments
        self.segments: Segments | None = None
        self.row = Row(source, match, now)
        self.banner_fields = [name for name in BANNER if name in match]
        self.n_rows = self.n_accepted = 0
        self.rejected: dict[str, int] = {}
        self.notes: list[str] = []
        self.repaired: Path | None = None
        self.raw = "NULL"

    def judge(self) -> None:
        """Runs every pass but the last, `write_heat`. Raises InputError for a file that is damaged or has a nested column."""
        with readable(self.source.path):
            self._judge()

    def _judge(self) -> None:
        if self.source.kind == "parquet":
            if "device" in self.match and "device" not in self.match.given and self.row.is_nested("device"):
                self._do_without("device", unused(self.match, "it holds several values a row"))
            self.row.check_types()
            verify_pages(self.source.path, [theirs.split(".")[0] for theirs in self.match.fields.values()])
        self._read_combinations()
        self.row.grid_names = has_names(self.work, self.row.type_of("grid_id"), self.row.text("grid_id"))
        if "clicked_at" in self.match and self.row.type_of("clicked_at") in ("VARCHAR", "BLOB"):
            self.row.date_order = dates.order(self.work, self.match, self.row.text("clicked_at"))
        note = code_banners(self.work, self.row, self.banner_fields, self.known)
        self.notes += [note] if note else []
        if "device" in self.match:
            self._find_segments()
        if self.row.date_order is not None:
            self.notes.append(dates.said(self.row.date_order, "dates" in self.match.how))
        self.notes += how_read(self.work, self.source, self.match, self.row.grid_names)
        self.work.stage(0.35, 0.65)
        self._stage_keys(lines=False)
        self.work.stage(0.65, 0.75)
        if "click_id" in self.match:
            self._drop_guessed_ids()
        n_duplicates = self._n_duplicates() if "click_id" in self.match else 0
        if n_duplicates or self.n_accepted < self.n_rows:
            self._find_rejects(n_duplicates > 0)
        if self.n_accepted + sum(self.rejected.values()) != self.n_rows:
            if self.source.kind == "parquet":
                raise InputError(f"{self.source.path.name} is damaged: its columns differ in their rows. Copy or export it again.")
            raise RuntimeError(f"{self.source.path}: {self.n_accepted} accepted, {self.rejected} rejected, {self.n_rows} read")

    def write_heat(self) -> None:
        """`click_heat`: banner_id, day, segment, n_clicks, bins, counts, one row a banner, day and segment, in this order."""
        con = self.work.con
        names = con.execute("SELECT banner_id FROM click_code ORDER BY code").to_arrow_table().column(0).combine_chunks()
        segments = None if self.segments is None else pa.array(self.segments.by_code, pa.string())
        con.register("click_batches", SCHEMA.empty_table())
        self.work.rows("CREATE OR REPLACE TEMP TABLE click_heat AS FROM click_batches")
        ranges = self._ranges()
        for index, (low, high) in enumerate(ranges):
            heat = self._load(low, high)
            con.register("click_batches", pa.RecordBatchReader.from_batches(SCHEMA, heat_batches(heat, names, segments)))
            self.work.rows("INSERT INTO click_heat FROM click_batches")
            self.work.tick((index + 1) / len(ranges))
        con.unregister("click_batches")

    def _read_combinations(self) -> None:
        """Counts rows by banner fields. Text that DuckDB does not read as one row a line is repaired, once."""
        self.work.stage(0.05, 0.35)
        if self.source.plain and self._try_combinations():
            return
        if self.source.kind != "parquet":
            self.repaired = self.folder / f"repaired-{os.getpid()}-{threading.get_ident()}.parquet"
            self.work.stage(0.05, 0.25)
            repair(self.source, self.repaired, self.work.tick)
            self.work.stage(0.25, 0.35)
        self._make_views(self.repaired)
        self._count_combinations()

    def _try_combinations(self) -> bool:
        self._make_views(None)
        try:
            self._count_combinations()
        except duckdb.InvalidInputException:
            if self.source.kind == "parquet":
                raise
            return False
        n_header = 1 if self.source.kind == "csv" else 0
        return self.source.kind == "parquet" or self.n_rows == self.source.n_lines - n_header

    def _make_views(self, repaired: Path | None) -> None:
        self.raw = raw_sql(self.source, repaired)
        for view, lines in (("click_rows", False), ("click_lines", True)):
            self.work.rows(f"CREATE OR REPLACE TEMP VIEW {view} AS {rows_sql(self.source, self.match, repaired, lines=lines)}")

    def _count_combinations(self) -> None:
        fields = ", ".join(f"f_{name}" for name in self.banner_fields)
        self.work.rows(
            f"CREATE OR REPLACE TEMP TABLE click_combination AS SELECT {fields}, problem, count(*) AS n FROM click_rows GROUP BY ALL"
        )
        self.n_rows = int(self.work.one("SELECT coalesce(sum(n), 0) FROM click_combination"))

    def _join_fields(self) -> list[str]:
        """The fields that tell combinations apart: banner_id alone where that is enough, as it nearly always is."""
        if "banner_id" in self.match:
            enough = "SELECT count(*) = count(DISTINCT f_banner_id) AND count(*) = count(first_key) FROM click_banner"
            if self.work.one(enough):
                return ["banner_id"]
        return self.banner_fields

    def _stage_keys(self, *, lines: bool) -> None:
        """`click_staged`: `key` (NULL where place or time break a rule), `n` of a binned log, `click_key` of one with click ids, `line`."""
        on = " AND ".join(f"r.f_{name} = b.f_{name}" for name in self._join_fields())
        good, key = self.row.is_good(), f"first_key + {self.row.cell()}"
        if self.segments is not None:
            key += f" + ({self.segments.code()}) * {1 << BIN_BITS}"
        # A WHERE is the faster way, but DuckDB would read every measure twice, which only numbers can afford.
        key, where = (key, f"WHERE {good}") if self.row.is_cheap() else (f"CASE WHEN {good} THEN {key} END", "")
        columns = [f"{key} AS key"]
        if self.match.layout == "binned":
            columns.append("m_count AS n")
        if "click_id" in self.match:
            text = self.row.text("click_id")
            columns.append(f"CASE WHEN {text} <> '' THEN md5_number({text}) END AS click_key")
        columns += ["line"] if lines else []
        self.work.rows(f"""
            CREATE OR REPLACE TEMP TABLE click_staged AS SELECT {", ".join(columns)}
            FROM (SELECT r.*, b.first_key, {self.row.measures()}
                FROM {"click_lines" if lines else "click_rows"} r JOIN click_banner b ON {on}
                WHERE r.problem IS NULL AND b.first_key IS NOT NULL) {where}""")
        self.n_accepted = int(self.work.one("SELECT count(key) FROM click_staged"))

    def _load(self, low: int, high: int) -> Heat:
        """Staged keys (and counts) from `low` to below `high` as arrays, sorted."""
        self.work.check()
        columns = "key, CAST(n AS BIGINT) AS n" if self.match.layout == "binned" else "key"
        arrays = self.work.con.execute(f"SELECT {columns} FROM click_staged WHERE key >= {low} AND key < {high}").fetchnumpy()
        heat = Heat(arrays["key"], arrays.get("n"))
        heat.sort()
        return heat

    def _find_segments(self) -> None:
        """Names and codes of the segments; does without a column found by its name whose values are too many to be segments."""
        segments = Segments(self.work, self.row, self.known_segments)
        if "device" not in self.match.given and segments.covered < MIN_COVERED:
            why = f"it has {len(segments.counts):,} values, and the {MOST} segments of the store cover only {100 * segments.covered:.0f} %"
            self._do_without("device", unused(self.match, why))
            self._make_views(self.repaired)
        else:
            self.segments = segments

    def _do_without(self, ours: str, note: str) -> None:
        self.notes.append(note)
        self.match = self.row.match = self.match.without(ours)

    def _drop_guessed_ids(self) -> None:
        """Does without a click_id found by its name whose values repeat too often to be ids, such as an event's type."""
        n, n_distinct = self.work.rows("SELECT count(click_key), count(DISTINCT click_key) FROM click_staged WHERE key IS NOT NULL")[0]
        if "click_id" in self.match.given or n < MIN_GUESSED or n <= MAX_REPEATS * n_distinct:
            return
        theirs = self.match.fields["click_id"]
        note = f"Column {theirs!r} is not used as click_id: it has {n_distinct:,} different values in {n:,} rows."
        self._do_without("click_id", f"{note} If they are ids, map it: click_id={theirs}.")
        self._make_views(self.repaired)
        self._stage_keys(lines=False)

    def _n_duplicates(self) -> int:
        twice = int(self.work.one("SELECT count(click_key) - count(DISTINCT click_key) FROM click_staged WHERE key IS NOT NULL"))
        return twice or int(self.work.one(f"SELECT count(*) FROM click_staged WHERE key IS NOT NULL AND click_key IN ({self.seen})"))

    def _find_rejects(self, duplicates: bool) -> None:
        """The slow way: every row again, with its line."""
        join = " AND ".join(f"r.f_{name} IS NOT DISTINCT FROM b.f_{name}" for name in self.banner_fields)
        faults = self.row.faults()
        known = [("problem IS NOT NULL", "", "NULL"), ("fault IS NOT NULL", "", "fault_value")]
        self.work.rows(f"""
            CREATE OR REPLACE TEMP TABLE click_reject AS
            SELECT line, reason, left({first_fault([*known, *faults], 2)}, {MAX_RAW}) AS value, {self.raw} AS raw
            FROM (SELECT *, CASE WHEN problem IS NOT NULL THEN problem WHEN fault IS NOT NULL THEN fault
                    WHEN coalesce({self.row.is_good()}, false) THEN NULL ELSE {first_fault(faults, 1)} END AS reason
                FROM (SELECT r.*, b.fault, b.value AS fault_value, {self.row.measures()}
                    FROM click_lines r LEFT JOIN click_banner b ON {join}))
            WHERE reason IS NOT NULL""")
        if duplicates:
            self._reject_duplicates()
        if not self.source.ended:
            self._name_cut_off()
        counts = self.work.rows("SELECT reason, count(*) FROM click_reject GROUP BY 1 ORDER BY 2 DESC, 1")
        self.rejected = {reason: int(n) for reason, n in counts}

    def _name_cut_off(self) -> None:
        """A last line without an end whose form is wrong was cut off, unless most rows of the log have that form."""
        forms = ", ".join(map(quoted, CUT_FORMS))
        last = f"line = (SELECT max(line) FROM click_lines) AND reason IN ({forms}) AND trim(raw) <> ''"
        usual = f"SELECT reason FROM click_reject GROUP BY 1 HAVING count(*) > greatest(1, {self.n_rows} / 2)"
        found = self.work.rows(f"SELECT line FROM click_reject WHERE {last} AND reason NOT IN ({usual})")
        if found:
            self.work.rows(f"UPDATE click_reject SET reason = {quoted(CUT_OFF)} WHERE line = ?", [found[0][0]])
            self.notes.append(f"The last line (line {found[0][0]:,}) is cut off and was rejected. {UNFINISHED}")

    def _reject_duplicates(self) -> None:
        """Of a click id the first accepted line counts, or none where it was counted before."""
        self._stage_keys(lines=True)
        self.work.rows(f"""
            CREATE OR REPLACE TEMP TABLE click_again AS
            WITH ids AS (SELECT click_key, line FROM click_staged WHERE key IS NOT NULL AND click_key IS NOT NULL),
            twice AS (SELECT click_key, min(line) AS first FROM ids GROUP BY 1 HAVING count(*) > 1)
            SELECT line FROM ids JOIN twice USING (click_key) WHERE line > first
            UNION SELECT line FROM ids WHERE click_key IN ({self.seen})""")
        self.work.rows("DELETE FROM click_staged WHERE line IN (SELECT line FROM click_again)")
        self.work.rows(f"""
            INSERT INTO click_reject SELECT line, {quoted(DUPLICATE)}, left({self.row.text("click_id")}, {MAX_RAW}), {self.raw}
            FROM click_lines WHERE line IN (SELECT line FROM click_again)""")
        self.n_accepted = int(self.work.one("SELECT count(key) FROM click_staged"))

    def _ranges(self) -> list[tuple[int, int]]:
        """[low, high) of keys, at banner borders, about MAX_KEYS keys each."""
        if self.n_accepted <= MAX_KEYS:
            return [(0, 1 << 62)]
        cuts, size = [0], 0
        for code, n in self.work.rows("SELECT key >> 32 AS code, count(*) FROM click_staged WHERE key IS NOT NULL GROUP BY 1 ORDER BY 1"):
            if size and size + n > MAX_KEYS:
                cuts.append(code)
                size = 0
            size += n
        return [(low << 32, high << 32) for low, high in zip(cuts, [*cuts[1:], 1 << 30], strict=True)]
