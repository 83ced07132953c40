"""Times of clicks, as SQL expressions: microseconds since 1970 in UTC, NULL where a value is no time.

    text      ISO 8601, or any of the numbers below written out
    calendar  YYYYMMDD, YYYYMMDDHH, YYYYMMDDHHMM, YYYYMMDDHHMMSS
    epoch     seconds, milliseconds, microseconds or nanoseconds since 1970, by their size

Each value is read by its own size, so a column may mix units. Sizes overlap in two places. Twelve digits that read as a
calendar minute are one: as milliseconds they would be of 1976. Ten digits that read as a calendar hour are one unless the
second they count has passed: 2016050821 is 8 May 2016, 21 h, and not a second of the year 2033.
"""

from datetime import UTC, datetime

from core.clicks import dates

DAY_S = 86_400
TEXT_NUMBER = r"^\s*\+?([0-9]{18,19})(\.[0-9]*)?\s*$"
"""Nanoseconds in text: more digits than a float holds."""

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_FLOATS = ("FLOAT", "DOUBLE")


def microseconds(field: str, kind: str, today: str, order: str | None = None) -> str:
    """SQL of `field`, a column of DuckDB's type `kind`; `today` is YYYY-MM-DD; `order` of dates as of `dates.order`.

    TRY and `+ 0.0` keep DuckDB from judging a Parquet column by the statistics of its file, which know of no NaN.
    """
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        return f"TRY(epoch_us({field}))"
    if kind in _INTEGERS:
        return _number(f"CAST({field} AS BIGINT)", f"CAST({field} AS BIGINT) // 1000", today)
    if kind in _FLOATS:
        return _number(f"(CAST({field} AS DOUBLE) + 0.0)", f"CAST({field} AS DOUBLE) / 1000", today)
    text = field if kind == "VARCHAR" else f"CAST({field} AS VARCHAR)"
    nanos = f"coalesce(TRY_CAST(regexp_extract({text}, '{TEXT_NUMBER}', 1) AS HUGEINT) // 1000, t / 1000)"
    # A lambda reads the number from its text once, not once a rule.
    number = f"list_transform([TRY_CAST({text} AS DOUBLE)], lambda t: {_number('t', nanos, today)})[1]"
    if order is not None:  # before the others: 10.11.2026 is no number, and 2026 no hour
        return f"coalesce(epoch_us({dates.ordered(text, order)}), {_instant(text)}, {number}, {_instant(_tidy(text))})"
    return f"coalesce({_instant(text)}, {number}, {_instant(_tidy(text))})"


def _instant(text: str) -> str:
    """Microseconds of an ISO 8601 time; one without a zone is UTC (the cursor's TimeZone)."""
    return f"epoch_us(TRY_CAST({text} AS TIMESTAMPTZ))"


def _tidy(text: str) -> str:
    """Forms of ISO 8601 that DuckDB does not read, brought to the one it does. Only tried where the plain reading failed."""
    tidy = f"upper(trim({text}, E' \\t\\r\\n'))"
    for pattern, by in (
        (r"^([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2}):?([0-9]{2}):?([0-9]{2})", r"\1-\2-\3T\4:\5:\6"),
        (r"([0-9]) +(Z|UTC|[+-][0-9:]+)$", r"\1\2"),
        (r"([T ][0-9]{2}:[0-9]{2})(Z|[+-][0-9:]+)$", r"\1:00\2"),
        (r"(:[0-9]{2}),([0-9]+)", r"\1.\2"),
    ):
        tidy = f"regexp_replace({tidy}, '{pattern}', '{by}')"
    return tidy


def _number(t: str, nanos: str, today: str) -> str:
    """Microseconds of a number `t`, an epoch from 1973 on or a calendar; of an epoch below 1970 some time before it.

    The first three sizes are those of nearly all logs. `nanos` is t / 1000.
    """
    tomorrow = int(datetime.fromisoformat(today).replace(tzinfo=UTC).timestamp()) + DAY_S
    seconds, milliseconds = f"CAST(floor({t} * 1000000) AS BIGINT)", f"CAST(floor({t} * 1000) AS BIGINT)"
    hour = _calendar(t, 1900010100, 2199123123)
    minute_or_second = f"{_calendar(t, 190001010000, 219912312359)}, {_calendar(t, 19000101000000, 21991231235959)}"
    return f"""CASE
        WHEN {t} BETWEEN 100000000 AND {tomorrow} THEN {seconds}
        WHEN {t} BETWEEN 219912312400 AND 9999999999999 THEN {milliseconds}
        WHEN {t} BETWEEN 100000000000000 AND 99999999999999999 THEN CAST(floor({t}) AS BIGINT)
        WHEN {t} BETWEEN 19000101 AND 21991231 THEN {_calendar(t, 19000101, 21991231)}
        WHEN {t} BETWEEN 100000000 AND 99999999999 THEN coalesce({hour}, {seconds})
        WHEN {t} BETWEEN 100000000000 AND 99999999999999 THEN coalesce({minute_or_second}, {milliseconds})
        WHEN {t} >= 100000000000000000 THEN TRY_CAST(floor({nanos}) AS BIGINT)
        WHEN {t} <= -100000000 THEN -1 END"""


def _calendar(t: str, first: int, last: int) -> str:
    """A whole number from `first` to `last` as year, month, day, hour, minute and second; NULL where it is none."""
    digits = f"rpad(CAST(CAST({t} AS BIGINT) AS VARCHAR), 14, '0')"
    moment = rf"regexp_replace({digits}, '^(....)(..)(..)(..)(..)(..)$', '\1-\2-\3 \4:\5:\6')"
    return f"CASE WHEN {t} BETWEEN {first} AND {last} AND {t} = floor({t}) THEN epoch_us(TRY_CAST({moment} AS TIMESTAMP)) END"
