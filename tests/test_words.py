"""Words that messages, docstrings and pages do not use, with what to write instead."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import PACKAGES

ROOT = Path(__file__).parents[1]

INSTEAD = {
    r"\bhowever\b(?! (?:many|much|often|few|long|large|small|bright|deep)\b)": "the rule, a colon or a full stop, then the value that "
    "broke it",
    r"\bwhoever\b|\bsomebody\b|\banybody\b|\beverybody\b|\bnobody\b": "the user, another process, all users, no user",
    r"\bin force\b": "active, current",
    r"\b(?:banners?|ones?|images?|is|are|be|look|looks|dismissed|nor|called) in order\b(?! (?:of|to|by)\b)|^in order$": "ok",
    r"\bcuts?\b(?= (?:is|was|of|for|to|by|in|without|with|that|found|learned|between|itself|from|at|and|or)\b|[.,:;)]|$)"
    r"|\b(?:own|active|known|learned|this|that|another|new|published|first|0-shot|1-shot|0-|and 1-shot) cuts?\b": "threshold",
    r"\b(?:all|whole) window\b(?=.{0,12}high)|\bfir(?:es|ing) all\b": "on every day shown",
    r"\banew\b": "again, new",
    r"\blets? (?:\w+ ){0,4}go\b": "delete, release",
    r"\bin vain\b": "false alarm",
    r"\bit is said\b|\bis said to be\b": "name who says it",
    r"\bparted\b": "separated",
    r"\bbesides\b": "also, apart from",
    r"\buntold\b": "without progress",
}
RIDDLES = re.compile("|".join(f"(?:{pattern})" for pattern in INSTEAD), re.IGNORECASE)
IDENTIFIER = re.compile(r"[a-z][a-z_]*").fullmatch
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md"))]


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of a page's lines, or of a file's strings that are no identifiers; the values in an f-string are a …"""
    if path.suffix == ".md":
        yield from enumerate(path.read_text().splitlines(), 1)
        return
    inside: set[int] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in node.values}
            yield node.lineno, "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside and not IDENTIFIER(node.value):
            yield node.lineno, node.value


def found_in(paths: list[Path]) -> list[str]:
    """file:line, the word, the text around it."""
    return [
        f"{path.relative_to(ROOT)}:{line}: {match[0]!r} in {text[max(0, match.start() - 60) : match.end() + 40]!r}"
        for path in paths
        for line, text in prose(path)
        for match in RIDDLES.finditer(text)
    ]


def test_pages_are_written_in_plain_words() -> None:
    assert not found_in(PAGES)


@pytest.mark.parametrize("package", [*PACKAGES, "errors", "logs"])
def test_a_package_is_written_in_plain_words(package: str) -> None:
    assert not found_in(sorted((ROOT / "core" / package).rglob("*.py")))


def test_benchmarks_and_scripts_are_written_in_plain_words() -> None:
    assert not found_in([*sorted((ROOT / "benchmarks").rglob("*.py")), *(ROOT / "pages").glob("*.py"), ROOT / "app.py"])
    assert not [name for name in ("Makefile", ".ci/run", "Dockerfile") if "however" in (ROOT / name).read_text()]


def test_shares_are_written_with_a_blank_before_the_sign() -> None:
    formats = re.compile(r":[,.0-9]*%\}")
    files = (ROOT / "core").rglob("*.py")
    assert not [f"{path}: {m[0]}" for path in files for m in formats.finditer(path.read_text())]


@pytest.mark.parametrize(
    "text", ["A store has one run, however it has two.", "the cut in force", "Whoever signs in", "banners in order", "flagged in vain"]
)
def test_a_riddle_is_noticed(text: str) -> None:
    assert RIDDLES.search(text)


@pytest.mark.parametrize(
    "text", ["however often it is drawn", "in order of time", "cut off at the edge", "a false alarm", "in the order of the catalogue"]
)
def test_a_plain_sentence_is_not(text: str) -> None:
    assert not RIDDLES.search(text)
