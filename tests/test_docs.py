"""What README and docs/ say is what there is, and the project speaks of itself only."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import typer
from streamlit.config import get_config_options
from typer.testing import CliRunner

from core import PACKAGES, __version__
from core.__main__ import app
from core.detectors import CATALOGUE

ROOT = Path(__file__).parents[1]
DOCS = {path.name: path.read_text() for path in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md"))]}
CURRENT = {name: text for name, text in DOCS.items() if name != "CHANGELOG.md"}
"""Pages about what is, without the history."""
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
    without = {verb for verb in there if verb == "store copy" or verb.startswith("images ")}
    assert all(options >= EVERYWHERE for verb, options in there.items() if verb not in without), "those name two stores, or none"
    said = documented()
    lost = {verb: sorted((options - EVERYWHERE) ^ said.get(verb, {"no row"})) for verb, options in there.items()}
    assert not {verb: options for verb, options in lost.items() if options}, "docs/command-line.md has a row a verb with all its options"
    assert not set(said) - set(there), "docs/command-line.md names no other verb"


def test_the_docs_lists_every_detector_and_whether_a_run_takes_it() -> None:
    section = DOCS["detectors.md"].split("\n## The catalogue")[1].split("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| `")]
    listed = {name: row[-1].strip(" |") == "yes" for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    there = {name: detector.default_run for name, detector in CATALOGUE.items()}
    lost = sorted(set(there) ^ set(listed))
    assert not lost, "docs/detectors.md has a row for each detector of the catalogue and no other"
    assert not [name for name in there if there[name] != listed[name]], "its last column says `yes` for those in the default run"


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


def test_every_page_is_in_the_readme_and_in_the_user_guide() -> None:
    navigation = (ROOT / "core" / "ui" / "session" / "navigation.py").read_text()
    titles = re.findall(r'st\.Page\("pages/\w+\.py", title="([^"]+)"', navigation)
    assert len(titles) == len(list((ROOT / "pages").glob("*.py")))
    lost = [(page, title) for page in ("README.md", "user-guide.md") for title in titles if f"\n| {title} | " not in DOCS[page]]
    assert not lost, "each page of the navigation has a row in their tables of pages"


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


def commands(start: str) -> dict[str, list[str]]:
    """{the word after `start`: the rest of each such command} in all pages, without comments and what a pipe or && begins."""
    found: dict[str, list[str]] = {}
    for text in CURRENT.values():
        for line in re.findall(re.escape(start) + r"([^`\n|&#]+)", text):
            name, *rest = line.split(None, 1)
            found.setdefault(name, []).append(rest[0] if rest else "")
    return found


HELP = """import contextlib, io, json, runpy, sys
said = {}
for name in sys.argv[1:]:
    sys.argv = [name, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        runpy.run_module("benchmarks" + name, run_name="__main__")
    said[name] = out.getvalue()
print(json.dumps(said))
"""


def test_every_benchmark_answers_help_and_knows_the_options_that_pages_give_it() -> None:
    named = commands("python -m benchmarks")
    modules = {path.relative_to(ROOT / "benchmarks") for path in (ROOT / "benchmarks").rglob("*.py")}
    mains = {path for path in modules if '__name__ == "__main__"' in (ROOT / "benchmarks" / path).read_text()}
    runs = {"." + ".".join(path.with_suffix("").parts) for path in mains}
    assert set(named) <= runs, "benchmarks that are commands"
    env = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "TERMINAL_WIDTH": "200", "NO_COLOR": "1"}
    done = subprocess.run([sys.executable, "-c", HELP, *sorted(runs)], cwd=ROOT, capture_output=True, text=True, check=True, env=env)
    said = json.loads(done.stdout)
    assert not [name for name in runs if "usage" not in said[name].lower()]
    given = {(name, option) for name, lines in named.items() for line in lines for option in re.findall(r"--[a-z][a-z-]*", line)}
    assert len(given) > 10
    assert not [f"{name} {option}" for name, option in given if option not in said[name]]


def test_every_command_of_a_page_is_a_verb_with_its_options() -> None:
    known = verbs()
    wrong = []
    for first, lines in commands("python -m core ").items():
        for rest in lines:
            second = f"{first} {rest.split()[0]}" if rest.split() else first
            verb = second if second in known else first
            placeholder = first.isupper() or first.startswith("-")
            unknown = set(re.findall(r"--[a-z][a-z-]*", rest)) - known.get(verb, set()) - {"--help"}
            if not placeholder and (verb not in known or unknown):
                wrong.append(f"{first} {rest}")
    assert not wrong


def test_messages_name_verbs_that_exist() -> None:
    first = {verb.split()[0] for verb in verbs()}
    named = {
        (path.name, verb) for path in (ROOT / "core").rglob("*.py") for verb in re.findall(r"python -m core ([a-z]+)", path.read_text())
    }
    hinted = {
        (path.name, verb)
        for path in (ROOT / "core").rglob("*.py")
        for verb, option in re.findall(r"`([a-z]+) (--[a-z-]+)", path.read_text())
        if verb in first and not any(option in known for name, known in verbs().items() if name.split()[0] == verb)
    }
    assert len(named) > 5
    assert not {(name, verb) for name, verb in named if verb not in first}
    assert not hinted, "an option that the verb does not have"


def test_every_target_of_make_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = {name for text in CURRENT.values() for name in re.findall(r"(?:`|^)make ([a-z-]+)", text, flags=re.MULTILINE)}
    assert {"run", "test", "check"} <= named
    assert not [name for name in named if not re.search(rf"^{name}:", makefile, flags=re.MULTILINE)]


def test_every_file_that_a_page_names_exists() -> None:
    by_name = {path.name for path in tracked()}
    written_by_users = {".streamlit/secrets.toml", "secrets.toml"}
    lost = []
    for page, whole in CURRENT.items():
        made = re.findall(r"^New file `([^`]+)`", whole, flags=re.MULTILINE)  # by a recipe, which another test follows
        text = re.sub("|".join(map(re.escape, made)) or r"\Z", "", whole)
        for name in re.findall(r"`([\w./-]+\.(?:py|md|toml|txt|css|yml|yaml|cff|env))`", text):
            there = (ROOT / name).exists() if "/" in name else name in by_name
            if not there and name not in written_by_users:
                lost.append(f"{page}: {name}")
        folders = "core|tests|benchmarks|docs|deploy|pages"
        lost += [f"{page}: {name}" for name in re.findall(rf"`((?:{folders})/[\w./-]*)`", text) if not (ROOT / name).exists()]
    assert not lost


def test_the_table_of_packages_is_the_list_that_the_code_keeps() -> None:
    section = DOCS["architecture.md"].split("\n## Packages")[1].split("\n## ")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, flags=re.MULTILINE)) == PACKAGES
    assert list(re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)) == list(PACKAGES), "in their order"


def test_the_routes_through_the_code_lead_through_functions_that_exist() -> None:
    section = DOCS["architecture.md"].split("\n## Three routes")[1].split("\n## ")[0]
    steps = re.findall(r"`(core/[\w/]+\.py)`((?: `\w+`)+)", section)
    assert len(steps) > 20
    for path, names in steps:
        for name in re.findall(r"\w+", names):
            assert re.search(rf"^(?:async )?(?:def|class) {name}\b", (ROOT / path).read_text(), flags=re.MULTILINE), f"{path}: {name}"


def test_the_version_is_the_same_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    release, date = re.findall(r"^## (\d+\.\d+\.\d+) \((\d{4}-\d{2}-\d{2})\)$", DOCS["CHANGELOG.md"], flags=re.MULTILINE)[0]
    assert re.findall(r"^version: (.+)$", citation, flags=re.MULTILINE) == [__version__]
    assert re.findall(r'^date-released: "(.+)"$', citation, flags=re.MULTILINE) == [date]
    assert release == __version__
    assert CliRunner().invoke(app, ["--version"]).stdout.strip() == f"heatproof {__version__}"
