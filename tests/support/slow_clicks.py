"""A second reader of click logs, as plain loops over the csv module: what `core.clicks` must agree with, row by row."""

import csv
import io
import math
import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from core.store import grids, spelling

HEADER = ["click_id", "banner_id", "grid_id", "n_products", "domain", "click_x_rel", "click_y_rel", "clicked_at"]
WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
SCIENTIFIC = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][+-]?[0-9]+")
BLANK = " \t\r\n"
CALENDARS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
Click = dict[str, str]


def read(text: str) -> tuple[Counter[tuple[str, int, str, int, int]], dict[int, str]]:
    """((banner_id, grid_id, domain, day, bin) -> clicks, line -> reason) of a log with our own header."""
    rows, reasons = [], {}
    for line, fields in records(text):
        if len(fields) != len(HEADER):
            reasons[line] = "too few fields" if len(fields) < len(HEADER) else "too many fields"
        else:
            rows.append((line, dict(zip(HEADER, fields, strict=True))))
    heat, more = judge(rows)
    return heat, reasons | more


def judge(rows: list[tuple[int, Click]]) -> tuple[Counter[tuple[str, int, str, int, int]], dict[int, str]]:
    """The same of rows whose fields are texts, in whatever format they were."""
    reasons = {}
    rows = [
        (line, {**click, "banner_id": spelling.banner_id(click["banner_id"]), "domain": spelling.host(click["domain"])})
        for line, click in rows
    ]
    rows = with_grid_numbers(rows)
    owners = owner_of_each_banner([click for _, click in rows])
    heat: Counter[tuple[str, int, str, int, int]] = Counter()
    seen: set[str] = set()
    for line, click in rows:
        reason = banner_fault(click) or place_fault(click) or time_fault(click)
        if reason is None and click["click_id"] and click["click_id"] in seen:
            reason = "duplicate click_id"
        if reason is not None:
            reasons[line] = reason
            continue
        seen.add(click["click_id"])
        x, y = (coordinate(click[name]) for name in ("click_x_rel", "click_y_rel"))
        assert x is not None
        assert y is not None
        bin_ = min(39, int(y * 40)) * 40 + min(39, int(x * 40))
        seconds = epoch(click["clicked_at"])
        assert seconds is not None
        heat[version_of(click, owners[click["banner_id"]]), combination(click)[0], click["domain"], math.floor(seconds / 86400), bin_] += 1
    return heat, reasons


def records(text: str) -> list[tuple[int, list[str]]]:
    """(first line, fields) of every row below the header."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    found, line = [], 1
    for fields in reader:
        if fields:
            found.append((line, fields))
        line = reader.line_num + 1
    return found[1:]


def combination(click: Click) -> tuple[int, int, str]:
    return whole(click["grid_id"]), whole(click["n_products"]), click["domain"]


def with_grid_numbers(rows: list[tuple[int, Click]]) -> list[tuple[int, Click]]:
    """The rows with numbers in the place of names of grids, where most rows hold names."""
    texts = [click["grid_id"].strip(spelling.BLANKS) for _, click in rows]
    n_named = sum(bool(text) and not NUMBER.fullmatch(text) for text in texts)
    if n_named <= sum(map(bool, texts)) / 2:
        return rows
    numbers = [text if WHOLE.fullmatch(text) and abs(whole(text)) < 2**63 else str(grids.number_of(f"{text}")) for text in texts]
    return [(line, {**click, "grid_id": number if text else ""}) for (line, click), number, text in zip(rows, numbers, texts, strict=True)]


def version_of(click: Click, owner: tuple[int, int, str]) -> str:
    """The banner's id, and what differs from the combination that owns it."""
    grid, n_products, domain = combination(click)
    parts = [f"g{grid}"] * (grid != owner[0]) + [f"{n_products}p"] * (n_products != owner[1]) + [domain] * (domain != owner[2])
    return "~".join([click["banner_id"], *parts])


def whole(text: str) -> int:
    return int(text.strip(spelling.BLANKS).split(".")[0])


def owner_of_each_banner(clicks: list[Click]) -> dict[str, tuple[int, int, str]]:
    """The combination with most rows, the smallest of equals."""
    counts: dict[str, Counter[tuple[int, int, str]]] = {}
    for click in clicks:
        if banner_fault(click) is None:
            counts.setdefault(click["banner_id"], Counter())[combination(click)] += 1
    return {banner: min(count, key=lambda c: (-count[c], c[0], c[1], c[2].encode())) for banner, count in counts.items()}


def banner_fault(click: Click) -> str | None:
    if not click["banner_id"]:
        return "banner_id empty"
    for name in ("grid_id", "n_products"):
        text = click[name].strip(spelling.BLANKS)
        if not text:
            return f"{name} empty"
        if SCIENTIFIC.fullmatch(text):
            return f"{name} may have lost digits"
        if not WHOLE.fullmatch(text):
            return f"{name} not a number"
        if "." in text and abs(whole(text)) >= 2**53:
            return f"{name} may have lost digits"
        if name == "grid_id" and not -(2**63) <= whole(text) < 2**63:
            return "grid_id outside 64 bits"
    if not 1 <= whole(click["n_products"]) <= 32767:
        return "n_products outside 1..32767"
    return None if click["domain"] else "domain empty"


def place_fault(click: Click) -> str | None:
    texts = [click["click_x_rel"], click["click_y_rel"]]
    if any(not text.strip(BLANK) for text in texts):
        return "coordinate empty"
    numbers = [coordinate(text) for text in texts]
    if any(value is None or math.isnan(value) for value in numbers):
        return "coordinate not a number"
    return None if all(value is not None and 0 <= value <= 1 for value in numbers) else "coordinate outside 0..1"


def coordinate(text: str) -> float | None:
    """A number, also with a decimal comma."""
    return number(text.replace(",", ".")) if re.fullmatch(r"\s*[+-]?[0-9]*,[0-9]+\s*", text) else number(text)


def time_fault(click: Click) -> str | None:
    if not click["clicked_at"].strip(BLANK):
        return "time empty"
    seconds = epoch(click["clicked_at"])
    if seconds is None:
        return "time unreadable"
    inside = datetime(1971, 1, 1, tzinfo=UTC).timestamp() <= seconds < datetime(2100, 1, 1, tzinfo=UTC).timestamp()
    return None if inside else "time outside 1971..2099"


def epoch(text: str) -> float | None:
    """Seconds since 1970: a number by its size, else ISO 8601."""
    value = number(text)
    if value is None or math.isnan(value):
        return iso(text)
    digits = str(int(value)) if math.isfinite(value) and value == int(value) else ""
    if 1e8 <= value < 1e11 and not (len(digits) == 10 and value > datetime.now(UTC).timestamp() + 86_400):
        return value
    if len(digits) in CALENDARS and 1900 <= int(digits[:4]) < 2200:
        try:
            return datetime.strptime(digits, CALENDARS[len(digits)]).replace(tzinfo=UTC).timestamp()
        except ValueError:
            pass
    for limit, unit in ((1e8, None), (1e11, 1), (1e14, 10**3), (1e17, 10**6), (9e21, 10**9)):
        if abs(value) < limit:
            return None if unit is None else int(digits) / unit if digits and unit > 1 else value / unit
    return None


def iso(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def as_csv(rows: list[list[Any]], **options: Any) -> str:
    """A log with our header."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n", **options)
    writer.writerows([HEADER, *rows])
    return out.getvalue()
