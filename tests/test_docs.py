"""What README and docs/ say is what there is, and the project speaks of itself only."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import typer
from streamlit.config import get_config_options

from core.__main__ import app
from core.detectors import CATALOGUE

ROOT = Path(__file__).parents[1]
DOCS = {path.name: path.read_text() for path in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md"))]}
EVERYWHERE = {"--store", "--json"}


def verbs(command: Any = None, name: str = "") -> dict[str, set[str]]:
    """{verb: its options} of the command line, `--help` left out."""
    command = command or typer.main.get_command(app)
    if hasattr(command, "commands"):
        below = [verbs(sub, f"{name} {key}".strip()) for key, sub in command.commands.items()]
        return {verb: options for part in below for verb, options in part.items()}
    return {name: {option for p in command.params for option in p.opts if option.startswith("--")} - {"--help"}}


def documented() -> dict[str, set[str]]:
    """{verb: its options} of the table of docs/command-line.md."""
    section = DOCS["command-line.md"]
    rows = re.findall(r"^\| `([a-z ]+?)(?= [A-Z\[-]|`)(.*?)` \|", section, flags=re.MULTILINE)
    return {verb: set(re.findall(r"--[a-z]+(?:-[a-z]+)*", options)) for verb, options in rows}


def test_the_docs_lists_every_verb_and_option() -> None:
    there = verbs()
    assert all(options >= EVERYWHERE for verb, options in there.items() if verb != "store copy"), "which names two stores"
    assert documented() == {verb: options - EVERYWHERE for verb, options in there.items()}


def test_the_docs_lists_every_detector_and_whether_a_run_takes_it() -> None:
    section = DOCS["detectors.md"].split("\n## The catalogue")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    listed = {name: row[-1].strip(" |") == "yes" for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert listed == {name: detector.default_run for name, detector in CATALOGUE.items()}


def test_the_docs_lists_every_variable() -> None:
    section = DOCS["configuration.md"]
    listed = re.findall(r"^\| `(HEATPROOF_[A-Z_]+)` \| [^|]+ \| [^|]+ \|$", section, flags=re.MULTILINE)
    elsewhere = ["tests", "docs", *DOCS]
    named = {name for path in tracked() if path.relative_to(ROOT).parts[0] not in elsewhere for name in variables(path)}
    read = {name for path in (ROOT / "core").rglob("*.py") for name in variables(path)}
    assert named == read == set(listed), "what files name, what the code reads, what the table lists"
    assert len(listed) == len(set(listed))


def variables(path: Path) -> set[str]:
    """Variables of our own that a file names."""
    return set(re.findall(r"HEATPROOF_[A-Z]+(?:_[A-Z]+)*", path.read_text(errors="replace")))


def test_the_docs_says_what_streamlit_is_set_to() -> None:
    section = DOCS["configuration.md"]
    rows = re.findall(r"^\| `([a-z]+)\.([a-zA-Z]+)` \| [^|]+ \| (.+) \|$", section, flags=re.MULTILINE)
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert len(rows) > 5
    for part, key, said in rows:
        known = get_config_options()
        assert f"{part}.{key}" in known
        there = config.get(part, {}).get(key)
        assert said == f"`{str(there).lower()}`" if there is not None else not said.startswith("`"), f"{part}.{key}"


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_leads_somewhere() -> None:
    lost = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            if "://" not in link and not (target.exists() and (not anchor or anchor in anchors(target.read_text()))):
                lost.append(f"{page.name}: {link}")
    assert not lost


def test_the_readme_is_short_and_links_every_page() -> None:
    assert len(DOCS["README.md"].splitlines()) <= 160
    assert not [path.name for path in (ROOT / "docs").glob("*.md") if f"(docs/{path.name})" not in DOCS["README.md"]]


def tracked() -> list[Path]:
    """Text files under version control; every file where there is no git, as in an unpacked archive."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = [Path(name) for name in listed.stdout.split("\0") if name] if listed.returncode == 0 else []
    names = names or [p.relative_to(ROOT) for p in ROOT.rglob("*") if p.is_file() and ".venv" not in p.parts]
    endings = {".py", ".md", ".toml", ".txt", ".css", ".html", ".js", ".yml", ".service", ".timer", ".conf", ".env", ""}
    return [ROOT / name for name in names if name.suffix in endings and (ROOT / name).is_file()]


def test_no_file_speaks_of_the_place_where_it_was_written() -> None:
    words = ["/" + "work/", "/" + "root/", "issue" + r"s?[ /]#?\d", "pull" + r"/\d", "clau" + "de", "chat" + "gpt", "lang" + "uage model"]
    forbidden = re.compile("|".join(words), re.IGNORECASE)
    numbered = re.compile(r"(?<![\w&(])#\d+\b")  # in prose only: in code it may be a colour
    found = []
    for path in tracked():
        text = path.read_text(errors="replace")
        found += [f"{path.relative_to(ROOT)}: {m[0]}" for m in forbidden.finditer(text)]
        found += [f"{path.relative_to(ROOT)}: {m[0]}" for m in numbered.finditer(text) if path.suffix == ".md"]
    assert len(tracked()) > 10
    assert not found


def test_every_benchmark_that_is_named_is_there() -> None:
    texts = [path.read_text() for path in tracked() if path.suffix in (".py", ".md", ".txt")]
    named = {name for text in texts for name in re.findall(r"(?<![\w./])benchmarks(?:\.[a-z_]+)+", text)}
    assert len(named) > 20
    places = {name: ROOT / name.replace(".", "/") for name in named}
    assert not [name for name, place in places.items() if not place.is_dir() and not place.with_name(place.name + ".py").exists()]
