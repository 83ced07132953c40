"""The recipes of CONTRIBUTING.md, followed word by word in a copy of the tree."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_docs import tracked

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = dict(part.split("\n", 1) for part in TEXT.split("\n## Recipes")[1].split("\n### ")[1:])
PARTS = re.compile(r"^(?:New file|In) `(?P<file>[^`]+)`|^```(?P<kind>python|diff)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)


def apply(recipe: str, tree: Path) -> None:
    """Writes the new files and makes the changes of a recipe."""
    target = tree
    for part in PARTS.finditer(recipe):
        if part["file"]:
            target = tree / part["file"]
        elif part["kind"] == "python":
            assert not target.exists(), target
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(part["body"])
        else:
            change(target, part["body"])


def change(target: Path, diff: str) -> None:
    """Replaces the lines of a diff that are not new, which stand in the file once, by those that are not removed."""
    lines = [(line[:1], line[1:]) for line in diff.splitlines()]
    before = "".join(f"{text}\n" for sign, text in lines if sign != "+")
    after = "".join(f"{text}\n" for sign, text in lines if sign != "-")
    old = target.read_text()
    assert old.count(before) == 1, f"{target.name} holds these lines once: {old.count(before)} times:\n{before}"
    target.write_text(old.replace(before, after))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with all recipes applied."""
    copy = tmp_path_factory.mktemp("recipes") / "heatproof"
    for path in tracked():
        (copy / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy / path.relative_to(ROOT))
    shutil.copytree(ROOT / "core" / "features" / "weights", copy / "core" / "features" / "weights")
    for recipe in RECIPES.values():
        apply(recipe, copy)
    return copy


def run(tree: Path, *command: str) -> None:
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", *command], cwd=tree, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_there_are_recipes_for_what_people_add() -> None:
    assert list(RECIPES) == ["A detector", "A feature extractor", "A verb", "A table", "A page", "A fault family"]


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_passes_its_own_check(name: str, tree: Path) -> None:
    (check,) = re.findall(r"^Check: `python -m ([^`]+)`", RECIPES[name], flags=re.MULTILINE)
    run(tree, *shlex.split(check))


@pytest.mark.slow
def test_what_recipes_write_passes_lint_and_format(tree: Path) -> None:
    run(tree, "ruff", "check", ".")
    run(tree, "ruff", "format", "--check", ".")
