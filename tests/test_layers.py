"""Who may import whom: `core.LAYERS`, walked in the source and proven in a fresh interpreter."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from core import LAYERS

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "core").rglob("*.py"))
HEAVY = ("torch", "transformers", "sklearn")
ARRAYS_ONLY = LAYERS[2] | {"heatmaps", "synthetic", "worker"}


def unit(path: Path) -> str:
    """The name that LAYERS gives a file: its module, or its folder in core."""
    return path.relative_to(ROOT / "core").parts[0].removesuffix(".py")


def layer(name: str) -> int:
    found = [i for i, names in enumerate(LAYERS) if name in names]
    assert len(found) == 1, f"core.{name} must stand in one layer of core.LAYERS, however it stands in {len(found)}"
    return found[0]


def imported(path: Path, top_level_only: bool = False) -> set[str]:
    """Dotted names of all modules that a file imports, also inside functions."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = node.module or ""
            names.add(module)
            folder = ROOT / module.replace(".", "/")
            names |= {f"{module}.{a.name}" for a in node.names if (folder / f"{a.name}.py").exists() or (folder / a.name).is_dir()}
    return names - {"core"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_from_its_own_layer_or_from_above(path: Path) -> None:
    if path == ROOT / "core" / "__init__.py":
        assert imported(path) == set()
        return
    own = layer(unit(path))
    below = {name for name in imported(path) if name.startswith("core.") and layer(name.split(".")[1]) > own}
    assert not below
    tops = {name.split(".")[0] for name in imported(path)}
    assert not tops & {"app", "pages", "tests", "benchmarks"}
    assert "streamlit" not in tops or unit(path) == "ui"
    assert "duckdb" not in tops or unit(path) not in ARRAYS_ONLY


def modules(path: Path) -> set[str]:
    return {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for p in path.rglob("*.py")}


def loaded_after(names: set[str]) -> set[str]:
    """Which of HEAVY a fresh interpreter holds after importing these modules."""
    load = f"for name in {sorted(names)}: importlib.import_module(name)"
    code = f"import importlib, sys\n{load}\nprint(*[n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_what_only_shows_scores_never_loads_the_heavy_libraries() -> None:
    scripts = [ROOT / "app.py", *(ROOT / "pages").glob("*.py")]
    from_pages = {name for script in scripts if script.exists() for name in imported(script, top_level_only=True)}
    names = modules(ROOT / "core" / "queries") | modules(ROOT / "core" / "ui") | from_pages | {"core.run", "core.store", "core.triage"}
    assert len(names) > 10
    assert loaded_after(names) == set()


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    assert loaded_after({"core.__main__", "core.evaluate", "core.export", "core.job"}) == set()


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
