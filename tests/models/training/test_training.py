"""The training loop learns, goes on where it stopped, and never sees the broken banners of a contaminated pool."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from core.banners.heatmaps import Heatmaps, heatmaps_of
from core.banners.synthetic import GridPlan, make_clicks
from core.detectors import make
from core.detectors.ssad_clicks import channels
from core.errors import InputError
from core.features.networks.weight_files import find_weights, load_network, read_about, save_network
from core.logs.progress import no_progress
from core.models.training.banner_pools import clean_pool, synthetic_pool
from core.models.training.ssad_clicks import SsadPlan, make_batch, train_ssad_clicks

PLANS = (GridPlan(1, 120, 10), GridPlan(2, 120, 10), GridPlan(3, 120, 10))


def log(seed: int, plans: tuple[GridPlan, ...] = PLANS) -> tuple[Heatmaps, np.ndarray]:
    clicks = make_clicks(seed, plans)
    heatmaps = heatmaps_of(clicks.banner, clicks.points, clicks.banner_id, clicks.grid_id, clicks.n_products, clicks.domain)
    return heatmaps, clicks.fault != ""


def test_a_contaminated_pool_is_cleaned() -> None:
    heatmaps, broken = log(11)
    pool = clean_pool(heatmaps)
    totals = {tuple(row.indices[:20]) for row in pool.counts}
    kept = np.array([tuple(row.indices[:20]) in totals for row in heatmaps.counts])
    assert 0.85 < kept.mean() < 0.92
    assert kept[broken].mean() < 0.15 < 0.9 < kept[~broken].mean()


def test_a_pool_needs_two_grids() -> None:
    heatmaps, _ = log(1, (GridPlan(1, 60, 3),))
    with pytest.raises(InputError, match="at least two"):
        clean_pool(heatmaps)


def test_a_batch_gives_nothing_away_by_its_number_of_clicks() -> None:
    pool = synthetic_pool(5, n_grids=4, n_banners=80)
    x, y = make_batch(np.random.default_rng(0), pool, SsadPlan(batch=128))
    size = x[:, 3, 0, 0].numpy()  # log of the number of clicks
    assert abs(roc_auc_score(y.numpy(), size) - 0.5) < 0.06
    assert set(y.tolist()) == {0.0, 1.0}


def test_a_stopped_training_ends_where_an_unstopped_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = synthetic_pool(6, n_grids=4, n_banners=60)
    plan = SsadPlan(steps=6, batch=16)
    whole, about = train_ssad_clicks(pool, plan, tmp_path / "a.checkpoint", no_progress)

    def stop(done: float, what: str, **numbers: float) -> None:
        if done > 0.5:
            raise KeyboardInterrupt

    monkeypatch.setattr("core.features.networks.training_loop.CHECKPOINT_S", -1.0)
    with pytest.raises(KeyboardInterrupt):
        train_ssad_clicks(pool, plan, tmp_path / "b.checkpoint", stop)
    assert (tmp_path / "b.checkpoint").exists()
    resumed, _ = train_ssad_clicks(pool, plan, tmp_path / "b.checkpoint", no_progress)
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-3, atol=1e-4)
    assert about["steps"] == 6
    assert not (tmp_path / "b.checkpoint").exists()


def test_channels_by_hand() -> None:
    heatmaps, _ = log(2, (GridPlan(1, 3, 0), GridPlan(2, 3, 0)))
    expected = np.full((6, 1600), 1 / 1600, dtype=np.float32)
    x = channels(heatmaps.counts, expected)
    n = heatmaps.n_clicks[0]
    cell = int(heatmaps.counts[0].indices[0])
    row, col = divmod(cell, 40)
    count = heatmaps.counts[0, cell]
    assert x.shape == (6, 4, 40, 40)
    assert x[0, 0, row, col] == pytest.approx(10 * np.sqrt(count / n), rel=1e-5)
    assert x[0, 1, row, col] == pytest.approx(10 / 40, rel=1e-5)
    assert x[0, 2, row, col] == pytest.approx(min((count - n / 1600) / np.sqrt(n / 1600 + 0.25), 12) / 3, rel=1e-4)
    assert x[0, 3, 0, 0] == pytest.approx(np.log(n) / 3 - 1.5, rel=1e-5)


def test_the_shipped_network_transfers_to_grids_it_never_saw() -> None:
    heatmaps, broken = log(77)
    groups = np.zeros(len(heatmaps), dtype=np.int64)
    detector = make("ssad_clicks").fit(heatmaps, groups)
    scores = detector.score(heatmaps, groups)
    assert roc_auc_score(broken, scores) > 0.95
    one = heatmaps.take(np.array([5]))
    assert detector.score(one, groups[:1])[0] == pytest.approx(scores[5], abs=1e-4)
    assert read_about(find_weights("ssad_clicks"))["command"].startswith("python -m core train ssad_clicks --synthetic")


def test_weights_are_never_random(tmp_path: Path) -> None:
    from core.features.networks.click_networks import SsadClicksNet

    with pytest.raises(InputError, match="python -m core train nothing"):
        find_weights("nothing")
    save_network(SsadClicksNet(), tmp_path / "ssad_clicks.safetensors", {"seed": 0})
    assert find_weights("ssad_clicks", tmp_path).parent == tmp_path
    (tmp_path / "ssad_clicks.safetensors").write_bytes(b"not weights")
    with pytest.raises(InputError, match="Train it again"):
        load_network(SsadClicksNet(), tmp_path / "ssad_clicks.safetensors")
