"""Who may import whom: `core.PACKAGES` from top to bottom, walked in the source and proven in a fresh interpreter."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import PACKAGES
from tests.conftest import slow_tests

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core"
FILES = sorted(CORE.rglob("*.py"))
MOST_LINES, MOST_IN_FUNCTION, MOST_PARAMETERS = 320, 50, 8
EVERYWHERE = {"errors", "settings", "logs"}
"""Modules that every package may import; a folder where one has parts."""
HEAVY = ("torch", "transformers", "sklearn")
NO_DATABASE = {"statistics", "banners", "features", "detectors", "scoring"}
"""Packages of arrays and Parquet only."""
SHARED = {"render", "session"}
"""Rooms of ui that others in it may import; render does not import session."""


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in FILES}


def imported(path: Path, top_level_only: bool = False) -> set[str]:
    """Dotted names of all modules that a file imports, also inside functions, unless at the top level only."""
    tree = ast.parse(path.read_text())
    names: set[str] = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = node.module or ""
            below = {f"{module}.{alias.name}" for alias in node.names} & set(MODULES)
            names |= below
            if len(below) < len(node.names):
                names.add(module)
    return names


IMPORTS = {name: imported(path) for name, path in MODULES.items()}


def room(name: str) -> str:
    """The package of a module, or its own name where it stands in core itself."""
    return name.split(".")[1] if "." in name else ""


def test_every_package_stands_in_the_list_and_nothing_else() -> None:
    assert {path.parent.name for path in CORE.glob("*/__init__.py")} - EVERYWHERE == set(PACKAGES)
    assert {path.stem for path in CORE.glob("*.py")} <= {"__init__", "__main__"} | EVERYWHERE
    assert not [path for path in CORE.rglob("*") if path.is_dir() and list(path.glob("*.py")) and not (path / "__init__.py").exists()]


def test_every_file_of_verbs_is_imported_by_the_command_line() -> None:
    with_verbs = {path.stem for path in (CORE / "cli").glob("*.py") if re.search(r"^@\w+\.command\(", path.read_text(), re.MULTILINE)}
    imported_here = {name.removeprefix("core.cli.") for name in IMPORTS["core.__main__"]}
    assert len(with_verbs) > 5
    assert not with_verbs - imported_here, "core/__main__.py imports each, or its verbs do not exist"


def upward() -> Iterator[str]:
    order = list(PACKAGES)
    for name, found in IMPORTS.items():
        for other in found:
            own, its = room(name), room(other)
            if not other.startswith("core.") or own == its or its in EVERYWHERE or own == "__main__":
                continue
            if own not in order or its not in order or order.index(its) > order.index(own) or (own, its) == ("ui", "cli"):
                yield f"{name} imports {other}"


def test_a_package_imports_only_from_those_above_it() -> None:
    assert not list(upward())


def test_the_list_imports_nothing() -> None:
    assert not IMPORTS["core"]


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, or nothing."""
    state: dict[str, int] = {}
    path: list[str] = []

    def visit(name: str) -> list[str]:
        state[name] = 1
        path.append(name)
        for other in sorted(graph.get(name, set())):
            if state.get(other) == 1:
                return [*path[path.index(other) :], other]
            if other not in state and (found := visit(other)):
                return found
        path.pop()
        state[name] = 2
        return []

    return next((found for name in sorted(graph) if name not in state and (found := visit(name))), [])


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert not circle(IMPORTS)


def test_a_circle_would_be_noticed() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def test_no_page_imports_another_and_what_is_rendered_knows_no_visitor() -> None:
    wrong = []
    for name, found in IMPORTS.items():
        if not name.startswith("core.ui."):
            continue
        own = name.split(".")[2]
        rooms = {other.split(".")[2] for other in found if other.startswith("core.ui.")} - {own}
        allowed = set() if own == "render" else SHARED - {own}
        wrong += [f"{name} imports from {other}" for other in rooms - allowed]
    assert not wrong


def test_libraries_stay_in_their_packages() -> None:
    wrong = []
    for name, found in IMPORTS.items():
        tops = {other.split(".")[0] for other in found}
        wrong += [f"{name} imports {top}" for top in tops & {"app", "pages", "tests", "benchmarks"}]
        if "streamlit" in tops and (room(name) != "ui" or name.startswith("core.ui.render.")):
            wrong.append(f"{name} imports streamlit")
        if "duckdb" in tops and room(name) in NO_DATABASE:
            wrong.append(f"{name} imports duckdb")
    assert not wrong


def test_a_worker_never_opens_the_store() -> None:
    workers = {name for name in MODULES if name.endswith(".worker")}
    assert len(workers) > 5
    assert not {name for name in workers if any(other == "core.store" or other.startswith("core.store.store") for other in IMPORTS[name])}


def loaded_after(names: set[str]) -> set[str]:
    """Which of HEAVY a fresh interpreter holds after importing these modules."""
    load = f"for name in {sorted(names)}: importlib.import_module(name)"
    code = f"import importlib, sys\n{load}\nprint(*[n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_what_only_shows_scores_never_loads_the_heavy_libraries() -> None:
    scripts = [ROOT / "app.py", *(ROOT / "pages").glob("*.py")]
    from_pages = {name for script in scripts for name in imported(script, top_level_only=True)}
    shown = {name for name in MODULES if room(name) in ("store", "ui") or name.endswith(".queries")}
    names = shown | from_pages | {"core.runs.run", "core.review.triage"}
    assert len(names) > 100
    assert loaded_after(names) == set()


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    assert loaded_after({"core.__main__", "core.runs.evaluate", "core.runs.export", "core.runs.job_folder"}) == set()


def test_the_proof_would_notice() -> None:
    assert loaded_after({"sklearn.metrics"}) == {"sklearn"}


@pytest.mark.parametrize(
    ("names", "loaded"), [(["multinomial", "likelihood_ratio"], set()), (["knn"], {"sklearn"}), (["ssad_clicks"], {"torch"})]
)
def test_detectors_load_before_a_run_forks_what_they_need_and_no_more(names: list[str], loaded: set[str]) -> None:
    code = (
        f"import sys\nfrom core.detectors import load_libraries\nload_libraries({names})\nprint(*[n for n in {HEAVY} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == loaded


def test_every_slow_test_that_is_listed_exists() -> None:
    gone = []
    for line in slow_tests():
        file, _, name = line.partition("::")
        there = (ROOT / file).exists() and (not name or f"def {name}(" in (ROOT / file).read_text())
        gone += [] if there else [line]
    assert not gone


def sources() -> list[Path]:
    return [ROOT / "app.py", *(path for folder in ("core", "pages", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py")))]


def too_large(path: Path) -> list[str]:
    """Where a file is too long to read at once, a function too long for a glance, or its parameters too many to remember."""
    text = path.read_text()
    found = [f"{path.relative_to(ROOT)}: {len(text.splitlines())} lines"] if len(text.splitlines()) > MOST_LINES else []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef):
            continue
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        n_lines, n = (node.end_lineno or 0) - node.lineno + 1, len(given) - (bool(given) and given[0].arg in ("self", "cls"))
        if (n_lines > MOST_IN_FUNCTION and "CREATE TABLE" not in ast.unparse(node)) or n > MOST_PARAMETERS:
            found.append(f"{path.relative_to(ROOT)}: {node.name}, {n_lines} lines, {n} parameters")
    return found


def test_files_and_functions_stay_small() -> None:
    assert not [where for path in sources() for where in too_large(path)]


def test_core_shows_at_most_twenty_entries() -> None:
    assert len([path for path in CORE.iterdir() if path.name != "__pycache__"]) <= 20
