"""One spelling for what may be written in several ways: banner ids and host names.

    banner id   Unicode NFC, without blanks and invisible characters at its ends; case and everything inside count
    host name   lower case, without blanks, scheme, user, port, path and last dot, labels in Unicode (`münchen.example`)

Every reader of ids uses these functions: click logs, label and truth files, command line and URL.
"""

import re
import unicodedata
from collections.abc import Container, Iterable

import idna

_BLANK_RANGES = (
    (0x01, 0x20),  # control characters, tab, line ends, blank; a NUL is refused instead
    (0x7F, 0xA0),  # more control characters, no-break space
    (0xAD, 0xAD),  # soft hyphen
    (0x61C, 0x61C),  # mark of direction
    (0x1680, 0x1680),
    (0x180E, 0x180E),
    (0x2000, 0x200F),  # blanks of every width, zero-width space and joiners, marks of direction
    (0x2028, 0x202F),
    (0x205F, 0x206F),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),  # byte order mark
)
BLANKS = "".join(chr(code) for low, high in _BLANK_RANGES for code in range(low, high + 1))
"""Characters that are no part of a value at its ends."""

BLANK_CLASS = "[" + "".join(f"\\x{{{low:x}}}-\\x{{{high:x}}}" for low, high in _BLANK_RANGES) + "]"
"""`BLANKS` as a character class of DuckDB's regular expressions."""

PLAIN_ID = "[!-~]([ -~]*[!-~])?"
"""Ids that `banner_id` leaves as they are."""

PLAIN_HOST = r"[a-z0-9_-]+(\.[a-z0-9_-]+)*"
"""Hosts that `host` leaves as they are, unless a label begins with `xn--`."""

UNKNOWN_PRODUCTS, UNKNOWN_DOMAIN = -1, "(unknown)"
"""What stands in the store for the product count and the domain of banners whose logs name none."""

_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//(?:[^/?#@]*@)?(?P<host>\[[^\]]*\]|[^/?#:]*)(?::\d*)?(?:[/?#].*)?", re.DOTALL | re.IGNORECASE)
_HOST = re.compile(r"(?P<host>\[[^\]]*\]|[^/?#:@\s]+)(?::\d+)?")
_PATH = re.compile(r"(?P<host>[^/?#:@\s]+\.[^/?#:@\s]+)(?::\d+)?[/?#].*", re.DOTALL)


def banner_id(text: str) -> str:
    """The id as every banner's id is written; "" where nothing is left."""
    return unicodedata.normalize("NFC", text).strip(BLANKS)


def banner_ids(texts: Iterable[str]) -> dict[str, str]:
    """Text -> `banner_id`."""
    return {text: banner_id(text) for text in texts}


def known_id(written: Iterable[str], known: Container[str]) -> str | None:
    """The id in `known` that is meant: the first of `written` that is there as it is, else as `banner_id` spells it, else none."""
    return next((name for text in written for name in (text, banner_id(text)) if name in known), None)


def spellings(written: Iterable[str]) -> set[str]:
    """Every id that `known_id` looks for."""
    return {name for text in written for name in (text, banner_id(text))}


def from_csv(cell: str) -> tuple[str, ...]:
    """What an id in a CSV may be, the surest first: without the apostrophe that `export` puts before a formula, and as it is."""
    return (cell[1:], cell) if _ESCAPED.match(cell) else (cell,)


_ESCAPED = re.compile(r"'+[=+@\t\r\n-]")
ESCAPED_SQL = r"^''*[=+@\t\r\n-]"
"""Text that gets an apostrophe in a CSV, as a pattern in an SQL literal: formulas, and what would look like one that has it."""


def host(text: str) -> str:
    """The host name that `text` stands for. Text that is no host name comes back trimmed and in lower case."""
    plain = text.strip(BLANKS)
    found = _URL.fullmatch(plain) or _HOST.fullmatch(plain) or _PATH.fullmatch(plain)
    name = _mapped(found["host"]) if found else None
    return name or unicodedata.normalize("NFC", plain.lower())


def hosts(texts: Iterable[str]) -> dict[str, str]:
    """Text -> `host`."""
    return {text: host(text) for text in texts}


def _mapped(name: str) -> str | None:
    """A host's labels by UTS 46 (lower case, NFC, no invisible characters), punycode decoded; None where it is no host."""
    if name.startswith("["):
        return name.lower()
    try:
        name = idna.uts46_remap(name, std3_rules=False, transitional=False).strip(BLANKS).removesuffix(".")
    except (idna.IDNAError, UnicodeError):
        return None
    labels = [_decoded(label) for label in name.split(".")]
    return ".".join(labels) if all(labels) and not re.search(r"[\s/?#:@<>()\"'=;,]", name) else None


def _decoded(label: str) -> str:
    """A label in Unicode; punycode that stands for nothing else stays as it is."""
    if not label.startswith("xn--"):
        return label
    try:
        text = label[4:].encode("ascii").decode("punycode")
        again = idna.uts46_remap(text, std3_rules=False, transitional=False)
    except (idna.IDNAError, UnicodeError):
        return label
    return text if again == text and not text.isascii() and "." not in text else label
