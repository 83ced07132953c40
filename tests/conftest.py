"""Fixtures of all tests: stores on every engine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.store import Store
from tests.support.lakes import ENGINES, Cluster, Places, cluster
from tests.support.stores import fill_store

Place = Callable[[str], str]
Filled = Callable[..., Store]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --lakes` takes every test of the store to SQLite and PostgreSQL; without it only those with the mark `lakes`."""
    parser.addoption("--lakes", action="store_true", help="all tests of the store on every engine: some minutes more")


SLOW = Path(__file__).parent / "slow_tests.txt"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the tests that `slow_tests.txt` lists, and leaves out what only --lakes runs."""
    listed = slow_tests()
    for item in items:
        if _is_listed(item.nodeid, listed):
            item.add_marker(pytest.mark.slow)
    left = [item for item in items if _is_of_lake(item) and not (config.getoption("--lakes") or item.get_closest_marker("lakes"))]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in set(left)]


def slow_tests() -> set[str]:
    """Lines of `slow_tests.txt`: file::test of slow tests, and folders of which all are slow."""
    return {line for line in SLOW.read_text().splitlines() if line and not line.startswith("#")}


def _is_listed(nodeid: str, listed: set[str]) -> bool:
    test = nodeid.split("[")[0]
    return test in listed or any(test.startswith(f"{folder}/") for folder in listed if "::" not in folder)


def _is_of_lake(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and hasattr(item, "callspec") and item.callspec.params.get("engine", "file") != "file"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL of these tests' own."""
    with cluster() as server:
        yield server


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Callable[[str], Places]:
    """The places of an engine, made when first asked for."""
    made: dict[str, Places] = {}

    def of(engine: str) -> Places:
        if engine not in made:
            server = request.getfixturevalue("postgres") if engine == "postgres" else None
            made[engine] = Places(engine, tmp_path_factory.mktemp(engine), server)
        return made[engine]

    return of


@pytest.fixture(params=[pytest.param(name, marks=() if name == "file" else pytest.mark.slow) for name in ENGINES])
def engine(request: pytest.FixtureRequest) -> str:
    """A file, SQLite and PostgreSQL in turn."""
    return str(request.param)


@pytest.fixture
def place(engine: str, tmp_path: Path, places: Callable[[str], Places]) -> Place:
    """Gives the URL of a new, empty store of the test's own by a name."""
    return lambda name: places(engine).new(tmp_path, name)


@pytest.fixture
def filled(engine: str, tmp_path: Path, places: Callable[[str], Places]) -> Iterator[Callable[..., Store]]:
    """Opens a store of the test's own like one of `filled_store`, which is filled once for all tests that ask for the same."""
    opened: list[Store] = []

    def of(n_banners: int = 400, seed: int = 0, hostile: bool = False) -> Store:
        name = f"filled-{n_banners}-{seed}-{hostile}"
        places(engine).template(name, lambda store: fill_store(store, n_banners, seed, hostile))
        opened.append(Store(places(engine).new(tmp_path, "s", name)))
        return opened[-1]

    yield of
    for store in opened:
        store.close()
