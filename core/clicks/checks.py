"""The rules a row has to keep, as SQL expressions.

`Row` writes them for one log: what its columns are called and of which type they are decides how each field is read.
Reasons are the words that reports and the `reject` table use.
"""

from datetime import UTC, datetime

from core.clicks import grid_names, integers
from core.clicks.columns import PLACE, Match
from core.clicks.source import Source
from core.clicks.times import microseconds
from core.errors import InputError
from core.settings import N_COLS, N_ROWS
from core.store import spelling
from core.store.days import AHEAD

FIRST_DAY, LAST_DAY = "1971-01-01", "2099-12-31"
"""Clicks outside these days are times gone wrong (a zero epoch, a year mistyped); so a day also fits 16 bits."""

UNKNOWN_PRODUCTS, UNKNOWN_DOMAIN = spelling.UNKNOWN_PRODUCTS, spelling.UNKNOWN_DOMAIN
"""What stands for the product count and the domain of a log that names none."""
COUNTED = ("row", "col", "count")
"""Whole numbers, in which a comma is no decimal one."""
DAY_US = 86_400_000_000
MAX_COUNT = 2**31
NO_TIME = "time outside 1971..2099"
FUTURE = "time in the future"
OTHER_BANNER = "banner_id belongs to another grid_id, n_products or domain"
DUPLICATE = "duplicate click_id"
CUT_OFF = "last line cut off"

_IN_TIME = f"m_clicked_at BETWEEN epoch_us(DATE '{FIRST_DAY}') AND epoch_us(TIMESTAMP '{LAST_DAY} 23:59:59.999999')"
_SIZE = "BETWEEN 1e-9 AND 1e9"
Fault = integers.Fault


class Row:
    """SQL for one row of a log: first its `measures`, read once, then what is made of these columns.

    Fields are the columns `f_<ours>` of the relation it is used on, measures the columns `m_<ours>`: DOUBLE, and for
    `m_clicked_at` microseconds since 1970 in UTC; NULL where they cannot be read.
    """

    def __init__(self, source: Source, match: Match, now: datetime) -> None:
        self.match = match
        self.file = source.path.name
        self.date_order: str | None = None
        """day-first or month-first, where the log's dates are written so."""
        self.types = dict(zip(source.names, source.types, strict=False))
        self.grid_names = False
        """Whether the log names its grids by texts."""
        self.now, self.today = now, now.date().isoformat()
        latest = int((now + AHEAD).replace(tzinfo=UTC).timestamp()) * 1_000_000 + now.microsecond
        self.is_past = f"m_clicked_at <= {latest}"

    def check_types(self) -> None:
        """Raises InputError where a field's column holds several values a row."""
        for ours, theirs in self.match.fields.items():
            if self.is_nested(ours):
                raise InputError(
                    f"A field is one value a row; column {theirs!r} ({ours}) of {self.file} holds {self.type_of(ours)}. "
                    "Flatten it, or map another column."
                )

    def is_nested(self, ours: str) -> bool:
        """Whether a field's column holds several values a row."""
        return self.type_of(ours).startswith(("STRUCT", "MAP", "UNION")) or self.type_of(ours).endswith("]")

    def text(self, ours: str) -> str:
        """The field as text; bytes that are no UTF-8 are none."""
        kind = self.type_of(ours)
        if kind == "BLOB":
            return f"TRY(decode(f_{ours}))"
        return f"f_{ours}" if kind == "VARCHAR" else f"CAST(f_{ours} AS VARCHAR)"

    def name(self, ours: str) -> str:
        """banner_id, domain, device or click_id as text; a NaN, which pandas writes for a missing one, is none."""
        if ours not in self.match:
            return quoted(UNKNOWN_DOMAIN)
        text = self.text(ours)
        return f"nullif({text}, 'nan')" if self.type_of(ours) in integers.EXACT_BELOW else text

    def measures(self) -> str:
        """Select list of all measures."""
        measures = [f"{self._number(ours)} AS m_{ours}" for ours in PLACE[self.match.layout]]
        if "clicked_at" in self.match:
            measures.append(f"{self._microseconds()} AS m_clicked_at")
        else:
            measures.append(f"epoch_us(DATE '{self.today}') AS m_clicked_at")
        return ", ".join(measures)

    def integer(self, ours: str) -> str:
        """grid_id or n_products as BIGINT; only where it keeps `banner_faults`."""
        if ours not in self.match:
            return f"{UNKNOWN_PRODUCTS}::BIGINT"
        if ours == "grid_id" and self.grid_names:
            return grid_names.number(self.text(ours))
        return integers.value(ours, self.type_of(ours), self.text(ours))

    def banner_faults(self) -> list[Fault]:
        """The same as `faults` for banner_id, grid_id, n_products and domain; `banner_id` and `domain` are columns."""
        names = [n for n in ("banner_id", "domain") if n in self.match]
        faults = [(f"contains({self.text(n)}, chr(0))", "NUL byte", f"replace({self.text(n)}, chr(0), '')") for n in names]
        if "banner_id" in self.match:
            faults.append(("coalesce(banner_id = '', true)", "banner_id empty", self.text("banner_id")))
        grid = self.text("grid_id")
        faults += grid_names.faults(grid) if self.grid_names else integers.faults("grid_id", self.type_of("grid_id"), grid)
        if "n_products" in self.match:
            text = self.text("n_products")
            outside = (f"NOT coalesce({self.integer('n_products')} BETWEEN 1 AND 32767, false)", "n_products outside 1..32767", text)
            faults += [*integers.faults("n_products", self.type_of("n_products"), text)[:-1], outside]
        return [*faults, ("coalesce(domain = '', true)", "domain empty", self.text("domain"))] if "domain" in self.match else faults

    def is_good(self) -> str:
        """Condition: place and time keep every rule."""
        if self.match.layout == "binned":
            place = f"{_whole('m_row', 0, N_ROWS - 1)} AND {_whole('m_col', 0, N_COLS - 1)} AND {_whole('m_count', 1, MAX_COUNT)}"
        else:
            x, y = self._shares()
            sizes = "".join(f"m_{n} {_SIZE} AND " for n in PLACE[self.match.layout][2:])
            place = f"{sizes}{x} BETWEEN 0 AND 1 AND {y} BETWEEN 0 AND 1"
        return f"{place} AND {_IN_TIME} AND {self.is_past}"

    def cell(self) -> str:
        """`day * 65536 + row * 40 + col` of a good row, days since 1970-01-01 in UTC. 1.0 belongs to the last cell."""
        day = f"m_clicked_at // {DAY_US} * 65536"
        if self.match.layout == "binned":
            at = f"({N_ROWS - 1} - m_row)" if self.match.is_read("bottom-left") else "m_row"
            return f"{day} + CAST({at} * {N_COLS} + m_col AS BIGINT)"
        x, y = self._shares()
        row = f"CASE WHEN {y} < 1 THEN floor({y} * {N_ROWS}) ELSE {N_ROWS - 1} END"
        col = f"CASE WHEN {x} < 1 THEN floor({x} * {N_COLS}) ELSE {N_COLS - 1} END"
        return f"{day} + CAST(({row}) * {N_COLS} + ({col}) AS BIGINT)"

    def is_cheap(self) -> bool:
        """No measure has to be read from text."""
        names = [*PLACE[self.match.layout], *(["clicked_at"] if "clicked_at" in self.match else [])]
        return all(self.type_of(ours) != "VARCHAR" for ours in names)

    def faults(self) -> list[Fault]:
        """(condition, reason, value that broke it) of every rule on place and time, in the order they are tried."""
        return [*(self._cell_faults() if self.match.layout == "binned" else self._place_faults()), *self._time_faults()]

    def type_of(self, ours: str) -> str:
        return self.types.get(self.match.fields.get(ours, ""), "VARCHAR")

    def _number(self, ours: str) -> str:
        """The field as DOUBLE. `+ 0.0` keeps DuckDB from judging a Parquet column by its file's statistics, which know of no NaN."""
        kind = self.type_of(ours)
        if kind in integers.INTEGERS or kind in integers.EXACT_BELOW or kind.startswith("DECIMAL"):
            return f"CAST(f_{ours} AS DOUBLE) + 0.0"
        text = self.text(ours)
        if ours in COUNTED:
            return f"TRY_CAST({text} AS DOUBLE)"
        # 1,024 pixels could be a thousand and 24: it is no number
        comma = r"'\s*[+-]?\d*,\d+\s*'" if self.match.layout == "relative" else r"'\s*[+-]?(0?,\d+|\d+,(\d{1,2}|\d{4,}))\s*'"
        written = f"CASE WHEN regexp_full_match({text}, {comma}) THEN TRY_CAST(replace({text}, ',', '.') AS DOUBLE) END"
        return f"coalesce(TRY_CAST({text} AS DOUBLE), {written})"

    def _microseconds(self) -> str:
        if self.type_of("clicked_at") == "BLOB":
            return microseconds(self.text("clicked_at"), "VARCHAR", self.today, self.date_order)
        return microseconds("f_clicked_at", self.type_of("clicked_at"), self.today, self.date_order)

    def _shares(self) -> tuple[str, str]:
        """(x, y) as shares of the banner."""
        x, y = "m_click_x_rel", "m_click_y_rel"
        if self.match.layout == "pixels":
            x, y = "m_click_x_px / m_banner_width", "m_click_y_px / m_banner_height"
        elif self.match.is_read("percent"):
            x, y = f"{x} / 100", f"{y} / 100"
        return x, f"(1 - {y})" if self.match.is_read("bottom-left") else y

    def _place_faults(self) -> list[Fault]:
        x, y, *sizes = PLACE[self.match.layout]
        faults = [(_empty(self.text(n)), "coordinate empty", self.text(n)) for n in (x, y)]
        faults += [(f"coalesce(isnan(m_{n}), true)", "coordinate not a number", self.text(n)) for n in (x, y)]
        faults += [(f"NOT coalesce(m_{n} {_SIZE}, false)", f"{n} not a positive number", self.text(n)) for n in sizes]
        shares = zip(self._shares(), (x, y), strict=True)
        faults += [(f"NOT ({share} BETWEEN 0 AND 1)", "coordinate outside 0..1", self.text(n)) for share, n in shares]
        return faults

    def _cell_faults(self) -> list[Fault]:
        faults = []
        for n, last in (("row", N_ROWS - 1), ("col", N_COLS - 1)):
            faults.append((f"NOT coalesce({_whole(f'm_{n}', -(10**9), 10**9)}, false)", f"{n} not a whole number", self.text(n)))
            faults.append((f"NOT (m_{n} BETWEEN 0 AND {last})", f"{n} outside 0..{last}", self.text(n)))
        good = f"coalesce({_whole('m_count', 1, MAX_COUNT)}, false)"
        return [*faults, (f"NOT {good}", "count not a positive whole number", self.text("count"))]

    def _time_faults(self) -> list[Fault]:
        if "clicked_at" not in self.match:
            return []
        text = self.text("clicked_at")
        return [
            (_empty(text), "time empty", text),
            ("m_clicked_at IS NULL", "time unreadable", text),
            (f"NOT ({_IN_TIME})", NO_TIME, text),
            (f"NOT ({self.is_past})", FUTURE, text),
        ]


def first_fault(faults: list[Fault], part: int) -> str:
    """CASE over `faults`: the reason (part 1) or the value (part 2) of the first that holds."""
    whens = " ".join(f"WHEN {fault[0]} THEN {quoted(fault[1]) if part == 1 else fault[2]}" for fault in faults)
    return f"CASE {whens} END" if faults else "NULL"


def quoted(text: str) -> str:
    """A string literal."""
    return "'" + text.replace("'", "''") + "'"


def _empty(text: str) -> str:
    return f"coalesce(trim({text}, E' \\t\\r\\n') = '', true)"


def _whole(number: str, low: int, high: int) -> str:
    return f"({number} BETWEEN {low} AND {high} AND {number} = floor({number}))"
