"""`simclr` and `vit_small`: trained to an end that does not depend on stops, shipped, and good for what they are for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from benchmarks.detectors.cosines import scores_of
from core.banners.heatmaps import Heatmaps, heatmaps_of
from core.banners.synthetic import GridPlan, make_clicks
from core.errors import InputError
from core.features import EXTRACTORS, make_extractor
from core.features.networks.simclr import SimclrNet, unit_images
from core.features.networks.vit_small import VitSmallNet
from core.features.networks.weight_files import SHIPPED, find_weights, read_about, save_network
from core.features.running import features_of, loaded
from core.logs.progress import no_progress
from core.models.training.banner_pools import Pool, synthetic_pool
from core.models.training.corruptions import thinned
from core.models.training.simclr import SimclrPlan, train_simclr
from core.models.training.vit_small import VitPlan, split, train_vit_small, unlikelihood

NAMES = ("simclr", "vit_small")
TRAINERS = {"simclr": (train_simclr, SimclrPlan(steps=4, batch=12)), "vit_small": (train_vit_small, VitPlan(steps=4, batch=12))}
N_DIMS = {"simclr": 512, "vit_small": 1600}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEATPROOF_THREADS", "1")
    loaded.cache_clear()


@pytest.fixture(scope="module")
def pool() -> Pool:
    return synthetic_pool(6, n_grids=4, n_banners=60)


@pytest.fixture(scope="module")
def log() -> tuple[Heatmaps, np.ndarray]:
    clicks = make_clicks(78, tuple(GridPlan(k, 250, 30) for k in (1, 2, 3)))
    heatmaps = heatmaps_of(clicks.banner, clicks.points, clicks.banner_id, clicks.grid_id, clicks.n_products, clicks.domain)
    return heatmaps, clicks.fault != ""


def stop(done: float, what: str, **numbers: float) -> None:
    if done > 0.5:
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", NAMES)
def test_a_stopped_training_ends_where_an_unstopped_one_does(
    name: str, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, plan = TRAINERS[name]
    whole, about = train(pool, plan, tmp_path / "a.checkpoint", no_progress)
    monkeypatch.setattr("core.features.networks.training_loop.CHECKPOINT_S", -1.0)
    with pytest.raises(KeyboardInterrupt):
        train(pool, plan, tmp_path / "b.checkpoint", stop)
    assert (tmp_path / "b.checkpoint").exists()
    resumed, _ = train(pool, plan, tmp_path / "b.checkpoint", no_progress)
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-3, atol=1e-4)
    assert about["steps"] == 4
    assert about["n_banners"] == len(pool.rows)


def test_some_clicks_are_shown_and_the_others_are_foretold(pool: Pool) -> None:
    counts = pool.counts[:40]
    seen, rest = split(np.random.default_rng(0), counts, (0.15, 0.85))
    np.testing.assert_array_equal((seen + rest).toarray(), counts.toarray())
    shown = np.asarray(seen.sum(axis=1)).ravel() / np.asarray(counts.sum(axis=1)).ravel()
    assert 0.05 < shown.min() < 0.4 < 0.6 < shown.max() < 0.95
    assert rest.data.min() >= 0


def test_unlikelihood_by_hand() -> None:
    density = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]))
    clicks = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    assert unlikelihood(density, clicks).item() == pytest.approx(-(2 * np.log(0.5) + np.log(0.25) + np.log(0.8)) / 4)
    heavy = torch.tensor([[0.0, 600.0, 0.0], [0.0, 200.0, 0.0]])  # six hundred clicks weigh as two hundred do
    assert unlikelihood(density, heavy).item() == pytest.approx(-(np.log(0.25) + np.log(0.8)) / 2)
    assert unlikelihood(density, torch.zeros(2, 3)).item() == 0


def test_the_transformer_starts_from_the_density_that_it_sees_and_sees_no_hidden_patch() -> None:
    torch.manual_seed(0)
    network, images = VitSmallNet().eval(), torch.rand(3, 1, 40, 40)
    own = images.square().flatten(1) / images.square().sum(dim=(1, 2, 3))[:, None]
    with torch.inference_mode():
        expected = (own + 0.1 / 1600) / 1.1
        torch.testing.assert_close(network(images).exp(), expected, rtol=1e-4, atol=1e-7)
        torch.nn.init.normal_(network.density.weight)
        hidden = torch.zeros(3, 64, dtype=torch.bool)
        hidden[:, 9] = True  # second row, second column: cells 5..9 both ways
        changed = images.clone()
        changed[:, :, 5:10, 5:10] = 7.0
        torch.testing.assert_close(network(images, hidden), network(changed, hidden))
        changed[:, :, 10, 5] = 7.0
        assert (network(images, hidden) - network(changed, hidden)).abs().max() > 0.1


def test_a_patch_is_put_back_where_it_was() -> None:
    network = VitSmallNet().eval()
    with torch.inference_mode():
        network.trunk.layernorm.weight.zero_()  # every token is the same, so every patch says what the bias says
        network.trunk.layernorm.bias.zero_()
        network.density.bias.copy_(torch.arange(25.0))
        found = network(torch.ones(1, 1, 40, 40)).reshape(40, 40)
    torch.testing.assert_close(found[5:10, 35:40] - found[5, 35], torch.arange(25.0).reshape(5, 5), rtol=1e-4, atol=1e-4)


def test_brightness_does_not_matter() -> None:
    images = torch.rand(2, 1, 40, 40)
    torch.testing.assert_close(unit_images(images), unit_images(images * torch.tensor([3.0, 0.2])[:, None, None, None]))
    assert unit_images(torch.zeros(1, 1, 40, 40)).abs().max() == 0


@pytest.mark.parametrize("name", NAMES)
def test_shipped_weights_are_small_and_say_how_they_came_about(name: str) -> None:
    path = find_weights(name)
    assert path.parent == SHIPPED
    assert path.stat().st_size <= 8_000_000
    about = read_about(path)
    assert about["command"].startswith(f"python -m core train {name} --synthetic --steps")
    assert 0.9 < float(about["roc_auc"]) < 1
    assert "cosines" in about["measured"]
    assert EXTRACTORS[name].weights.startswith(f"{name}.safetensors ")
    assert EXTRACTORS[name].why_not() is None


@pytest.mark.parametrize("name", NAMES)
def test_features_are_the_same_alone_and_in_a_batch(name: str, log: tuple[Heatmaps, np.ndarray]) -> None:
    few = log[0].counts[:40]
    together = features_of(make_extractor(name), few)
    alone = np.concatenate([features_of(make_extractor(name), few[k]) for k in (0, 33, 39)])
    assert together.shape == (40, N_DIMS[name]) == (40, EXTRACTORS[name].n_dims)
    assert np.linalg.norm(alone - together[[0, 33, 39]], axis=1).max() <= 1e-3 * np.linalg.norm(together, axis=1).min()
    assert np.isfinite(features_of(make_extractor(name), csr_matrix((1, 1600), dtype=np.float32))).all()


def test_features_of_the_transformer_are_roots_of_a_density(log: tuple[Heatmaps, np.ndarray]) -> None:
    features = features_of(make_extractor("vit_small"), log[0].counts[:20])
    np.testing.assert_allclose(np.square(features).sum(axis=1), 1, rtol=1e-4)
    assert features.min() >= 0


@pytest.mark.parametrize("name", NAMES)
def test_clicks_left_out_at_random_hardly_turn_the_features(name: str, log: tuple[Heatmaps, np.ndarray]) -> None:
    counts = log[0].counts[log[0].n_clicks > 300][:40]
    fewer = thinned(np.random.default_rng(0), counts, np.full(counts.shape[0], 150.0))
    a, b = (features_of(make_extractor(name), c).astype(np.float64) for c in (counts, fewer))
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    assert np.median((a * b).sum(axis=1)) > np.median((a * np.roll(b, 1, axis=0)).sum(axis=1)) + 0.05


@pytest.mark.parametrize("name", NAMES)
def test_the_cosine_finds_broken_banners_of_grids_never_seen(name: str, log: tuple[Heatmaps, np.ndarray]) -> None:
    heatmaps, broken = log
    assert roc_auc_score(broken, scores_of(features_of(make_extractor(name), heatmaps.counts), heatmaps)) > 0.95
    found = roc_auc_score(np.roll(broken, 100), scores_of(features_of(make_extractor(name), heatmaps.counts), heatmaps))
    assert 0.35 < found < 0.65  # of labels that belong to others


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_the_store_win_and_broken_ones_are_refused(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    save_network(SimclrNet() if name == "simclr" else VitSmallNet(), tmp_path / f"{name}.safetensors", {"seed": 1})
    own = replace(EXTRACTORS[name], own_weights=tmp_path)
    assert own.weights != EXTRACTORS[name].weights
    assert own.key != EXTRACTORS[name].key
    (tmp_path / f"{name}.safetensors").write_bytes(b"not weights")
    with pytest.raises(InputError, match="Train it again"):
        features_of(own, csr_matrix((1, 1600), dtype=np.float32))
