"""What a network draws of a banner, through the real child process with a short training."""

import sys
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import InputError, RunError
from core.jobs import running as jobs
from core.logs.progress import no_progress
from core.models.latent import job as latent
from core.models.latent import queries
from core.models.latent import worker as latent_worker
from core.models.latent.job import LATENT, Latent
from core.models.latent.request import LEAST, MOST, LatentRequest
from core.scoring.grid import IMAGES
from core.settings import N_BINS
from core.store import Store
from core.store.queries import heatmaps, runs
from core.store.queries.runs import last_finished
from tests.support.banners import heatmaps as heatmaps_of
from tests.support.stores import GRIDS, filled_store

LIMIT_S = 120
STEPS = 60


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return filled_store(tmp_path / "s.duckdb", 200)


def shown(store: Store) -> str:
    return str(runs.finished_runs(store)[0]["run_id"])


def banners_of(store: Store, grid_id: int) -> list[str]:
    return [r["banner_id"] for r in store.rows("SELECT banner_id FROM result WHERE grid_id = ? ORDER BY banner_id", [grid_id])]


def drawn_of(store: Store, banner_id: str) -> Latent:
    handle = jobs.start(store, LATENT, LatentRequest(shown(store), banner_id, max_steps=STEPS))
    assert handle.wait(LIMIT_S)
    assert handle.state == "finished", handle.error
    found = latent.kept(store, shown(store), banner_id)
    assert found is not None
    return found


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(np.square(one - other).sum()))


def test_a_banner_is_drawn_beside_its_changes(store: Store) -> None:
    name = banners_of(store, GRIDS[0])[3]
    found = drawn_of(store, name)
    seen = heatmaps.counts_of(store, [name])[name]
    image = IMAGES.make(heatmaps_of(seen[None]).counts)[0, 0]
    assert np.allclose(found.original, image / np.linalg.norm(image), atol=1e-3)
    assert (len(found.code), found.n_fitted) == (8, len(banners_of(store, GRIDS[0])))
    assert found.drawn.shape == (2 + 28 * 49, N_BINS)
    assert found.losses[-1] < found.losses[0]
    assert found.error > 0
    assert 0 <= found.smaller_share <= 1
    first, second = found.strongest()
    assert min(abs(found.code[first]), abs(found.code[second])) >= sorted(np.abs(found.code))[-2]
    at = {first: found.step(first), second: found.step(second)}
    far = {first: -3 if at[first] > 0 else 3, second: -3 if at[second] > 0 else 3}
    near, moved = distance(found.changed(at), found.reconstruction), distance(found.changed(far), found.reconstruction)
    assert near < moved / 3, "a code changed by half a step at most draws nearly the same"
    assert np.array_equal(found.changed(at), found.changed(dict(reversed(at.items())))), "whichever entry is named first"
    assert not list(store.path.parent.glob("*.latent"))


@pytest.mark.parametrize("values", [{1: 0}, {1: 0, 8: 0}, {0: 0, 1: 4}, {0: 0, 1: 1, 2: 2}])
def test_only_what_was_drawn_is_shown(values: dict[int, int]) -> None:
    found = Latent([0.0] * 8, 1.0, 0.5, 10, [1.0], 1.0, np.zeros((2 + 28 * 49, N_BINS), np.float16))
    with pytest.raises(InputError, match="Two of 8 entries are changed"):
        found.changed(values)


def test_the_lattice_is_stored_in_the_order_that_it_is_read(store: Store, tmp_path: Path) -> None:
    queries.write_grid(store, last_finished(store), banners_of(store, GRIDS[0])[0], 60, tmp_path / "banners.parquet")
    X, layouts = latent_worker.seen(pq.read_table(tmp_path / "banners.parquet"))
    vae = latent_worker.trained(X, layouts, 0, 20)
    code = vae.encode(X[:1], layouts[:1])[0]
    values = list(range(LEAST, MOST + 1))
    images = latent_worker.lattice(vae, code, layouts[0], values)[:, 0].reshape(-1, N_BINS)
    found = Latent(code.tolist(), 1.0, 0.5, 10, [1.0], 1.0, np.concatenate([images[:2], images]).astype(np.float16))
    for first, second, a, b in ((0, 1, -3, 3), (2, 5, 1, -2), (6, 7, 3, 3), (3, 4, 0, -1)):
        changed = code.copy()
        changed[first], changed[second] = a, b
        assert np.allclose(found.changed({first: a, second: b}), vae.decode(changed[None], layouts[:1])[0, 0], atol=1e-3)


def test_the_banner_is_the_first_row_and_only_its_grid_follows(store: Store, tmp_path: Path) -> None:
    name = banners_of(store, GRIDS[1])[-1]
    file = tmp_path / "banners.parquet"
    assert queries.write_grid(store, last_finished(store), name, 10, file) == 11
    rows = pq.read_table(file)
    ids = rows["banner_id"].to_pylist()
    assert ids[0] == name
    assert len(set(ids)) == 11
    assert set(ids) <= set(banners_of(store, GRIDS[1]))
    counts = heatmaps.counts_of(store, ids)
    for row in rows.to_pylist():
        dense = np.zeros(N_BINS, dtype=np.int64)
        dense[row["bins"]] = row["counts"]
        assert np.array_equal(dense, counts[row["banner_id"]])
    assert queries.write_grid(store, last_finished(store), "no such banner", 10, file) == 0


def test_a_small_grid_is_refused_and_so_is_a_second_drawing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = jobs.start(store, LATENT, LatentRequest(shown(store), banners_of(store, GRIDS[3])[0]))
    assert handle.wait(LIMIT_S)
    assert handle.state == "failed"
    assert "learns from 30 or more banners of a grid; the grid of bn-000000 has 12 here" in str(handle.error)
    script = tmp_path / "slow.py"
    script.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(LATENT, "command", (sys.executable, str(script)))
    going = jobs.start(store, LATENT, LatentRequest(shown(store), banners_of(store, GRIDS[0])[0]))
    with pytest.raises(RunError, match="Only one drawing at a time per store: bn-"):
        jobs.start(store, LATENT, LatentRequest(shown(store), banners_of(store, GRIDS[0])[1]))
    jobs.dismiss(store, LATENT)
    assert jobs.current(store, LATENT) is going, "what is going is not forgotten"
    going.cancel()
    assert going.wait(20)
    assert going.state == "cancelled"
    jobs.dismiss(store, LATENT)
    assert jobs.current(store, LATENT) is None
    assert latent.kept(store, shown(store), going.request.banner_id) is None
    with pytest.raises(RunError, match="no finished run"):
        jobs.start(store, LATENT, LatentRequest(str(uuid.uuid4()), "bn-000000"))


def test_few_results_are_kept_and_the_oldest_goes(store: Store) -> None:
    found = Latent([0.0] * 8, 1.0, 0.5, 10, [1.0], 1.0, np.zeros((2, N_BINS), np.float16))
    names = [f"b{k}" for k in range(latent.MOST_KEPT + 1)]
    for name in names:
        latent.keep(store, LatentRequest("r", name), found)
    assert [latent.kept(store, "r", name) is not None for name in names] == [False] + [True] * latent.MOST_KEPT


def test_the_worker_writes_the_images_and_returns_the_summary(store: Store, tmp_path: Path) -> None:
    queries.write_grid(store, last_finished(store), banners_of(store, GRIDS[0])[0], 40, tmp_path / "banners.parquet")
    (tmp_path / "out").mkdir()
    summary = latent_worker.draw(tmp_path, LatentRequest("r", "b", max_steps=5), no_progress)
    rows = pq.read_table(tmp_path / "out" / "drawn.parquet")
    assert rows.schema.field("image").type == pa.list_(pa.float16(), N_BINS)
    assert len(rows) == 2 + 28 * 49
    assert summary.keys() == {"code", "error", "smaller_share", "n_fitted", "losses"}
