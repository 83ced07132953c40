"""Drawn images hold what they say; the Chamfer distance is the one written; both networks train, resume, load and do what they learned."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from transformers import ResNetConfig, ResNetModel

from core.errors import InputError
from core.features import EXTRACTORS, make_extractor
from core.features.cluster_count import ExpectedClicks
from core.features.networks.clusters import ClusterCountNet, ClusterLocationNet, chamfer, channels, encoder_of
from core.features.networks.weight_files import find_weights, load_network, read_about
from core.features.running import features_of, loaded
from core.logs.progress import no_progress
from core.models.training import cluster_images
from core.models.training import train as training
from core.models.training.cluster_images import ClusterImages, binned, draw_images
from core.models.training.cluster_measures import count_errors, location_errors, measure_count, measure_location, symmetries
from core.models.training.clusters import (
    N_HELD_OUT,
    CountPlan,
    LocationPlan,
    centre_map,
    held_out,
    rate_loss,
    train_cluster_count,
    train_cluster_location,
)
from core.models.training.request import TrainRequest

NAMES = ("cluster_count", "cluster_location")
NAN = float("nan")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network of another test, and one thread: tests of several processes would only wait for each other."""
    monkeypatch.setenv("HEATPROOF_THREADS", "1")
    torch.set_num_threads(1)
    loaded.cache_clear()


def test_clicks_fall_into_their_cells_and_those_outside_are_lost() -> None:
    x = [0.0, 0.999, 0.5, 0.51, 1.0, -0.001]
    y = [0.0, 0.999, 0.26, 0.26, 0.5, 0.5]
    counts = binned(np.array([x, y], dtype=np.float32), np.array([0, 0, 1, 1, 1, 0]), 3)
    assert counts.shape == (3, 1600)
    assert {(int(i), int(c)): int(counts[i, c]) for i, c in zip(*np.nonzero(counts), strict=True)} == {
        (0, 0): 1,
        (0, 39 * 40 + 39): 1,
        (1, 10 * 40 + 20): 2,  # x is the column
    }
    just_below = np.nextafter(np.float32(1), np.float32(0))
    assert binned(np.array([[just_below], [just_below]]), np.array([0]), 1)[0, 1599] == 1


def test_drawn_images_are_of_the_written_kind() -> None:
    images = draw_images(np.random.default_rng(0), 1500, 20)
    assert np.bincount(images.n_clusters, minlength=21).min() > 40  # 71 expected
    assert (np.isnan(images.centres).sum(axis=(1, 2)) == 2 * (20 - images.n_clusters)).all()
    centres = images.centres[~np.isnan(images.centres)]
    assert centres.min() >= 0
    assert centres.max() < 1
    assert abs(centres.mean() - 0.5) < 0.015
    empty = images.counts[images.n_clusters == 0].sum(axis=1)
    assert 20 <= empty.min() < 60
    assert 360 < empty.max() <= 400
    clicks = images.counts.sum(axis=1)
    slope = np.polyfit(images.n_clusters, clicks, 1)[0]
    assert 145 < slope < 165  # 165 clicks a cluster, less those that left the image
    same = draw_images(np.random.default_rng(0), 1500, 20)
    np.testing.assert_array_equal(images.counts, same.counts)


def test_clusters_have_the_written_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_images, "SD", (0.03, 0.03))
    rng = np.random.default_rng(1)
    x, y = cluster_images._of_clusters(rng, np.array([[0.3, 0.7]], dtype=np.float32), np.array([20_000]))
    assert x.mean() == pytest.approx(0.3, abs=0.001)
    assert y.mean() == pytest.approx(0.7, abs=0.001)
    assert np.cov(x, y) == pytest.approx(np.diag([0.0009, 0.0009]), abs=4e-5)
    monkeypatch.setattr(cluster_images, "SD", (0.012, 0.06))
    centre = np.full((1000, 2), 0.5, dtype=np.float32)
    points = cluster_images._of_clusters(rng, centre, np.full(1000, 400)).reshape(2, 1000, 400)
    spread = np.sqrt(np.linalg.eigvalsh([np.cov(points[:, k]) for k in range(1000)]))
    logs = np.log(spread)
    assert logs.min() > np.log(0.8 * 0.012)
    assert logs.max() < np.log(1.2 * 0.06)
    assert logs.mean() == pytest.approx(np.log(0.012 * 0.06) / 2, abs=0.05)


def test_chamfer_by_hand() -> None:
    predicted = torch.tensor([[[0.0, 0.0], [0.3, 0.4], [0.0, 1.0]]] * 3)
    true = torch.tensor([[[0.0, 0.0], [0.3, 0.0]], [[0.0, 0.5], [NAN, NAN]], [[NAN, NAN], [NAN, NAN]]])
    # first: predicted 0, .4, 1, true 0, .3; second: predicted .5, sqrt(.09 + .01), .5, true sqrt(.1)
    expected = [(0 + 0.4 + 1) / 3 + (0 + 0.3) / 2, (0.5 + 0.1**0.5 + 0.5) / 3 + 0.1**0.5, 0.0]
    np.testing.assert_allclose(chamfer(predicted, true).numpy(), expected, atol=2e-4)


def test_chamfer_has_a_gradient_at_a_hit_and_with_nothing_to_hit() -> None:
    predicted = torch.full((2, 6, 2), 0.5, requires_grad=True)
    true = torch.full((2, 6, 2), NAN)
    true[0, 0] = 0.5
    chamfer(predicted, true).sum().backward()
    assert predicted.grad is not None
    assert predicted.grad.isfinite().all()
    assert (predicted.grad[1] == 0).all()


def test_the_map_of_centres_by_hand() -> None:
    centres = np.full((2, 3, 2), np.nan, dtype=np.float32)
    centres[0, :2] = [[0.1, 0.9], [0.12, 0.93]]
    images = ClusterImages(np.zeros((2, 1600), dtype=np.float32), np.array([2, 0]), centres)
    where = centre_map(images, 4)
    assert where[0, 3, 0] == 2
    assert where.sum() == 2
    even = torch.full((2, 4, 4), np.log(0.1))
    assert float(rate_loss(even, images)) == pytest.approx(1.6 - 2 * np.log(0.1) / 2, rel=1e-5)


def test_channels_by_hand() -> None:
    counts = torch.zeros(1, 1, 40, 40)
    counts[0, 0, 3, 5] = 9
    seen = channels(counts)
    assert seen.shape == (1, 5, 40, 40)
    by_hand = [1.5, np.log(10), np.log(10) / 3 - 2, 2 * 5 / 39 - 1, 2 * 3 / 39 - 1]
    np.testing.assert_allclose(seen[0, :, 3, 5].numpy(), by_hand, rtol=1e-5)


def test_a_banner_is_shown_as_500_expected_clicks() -> None:
    counts = csr_matrix(([3.0, 1.0], ([0, 1], [820, 0])), shape=(3, 1600))
    seen = ExpectedClicks().make(counts)
    assert seen.shape == (3, 1, 40, 40)
    np.testing.assert_allclose(seen.sum(axis=(1, 2, 3)), [500, 500, 0], rtol=1e-5)
    row, column = np.unravel_index(seen[0].argmax(), (1, 40, 40))[1:]
    assert (row, column) == (20, 20)
    assert seen[0].max() == pytest.approx(500 * 0.36875**2, rel=1e-3)  # F(1) - 2 F(0) + F(-1), F(x) = x cdf(x) + pdf(x)


def test_the_eight_symmetries_are_eight() -> None:
    image = torch.arange(1600.0).view(1, 1, 40, 40)
    turned = [see(image) for see in symmetries()]
    assert torch.equal(turned[0], image)
    assert len({tuple(t.flatten()[:3].tolist()) for t in turned}) == 8


def test_held_out_images_are_none_of_those_trained_on() -> None:
    drawn = draw_images(np.random.default_rng([0, 0]), 5, 20)
    assert not np.array_equal(drawn.counts, held_out(0, 20, 5).counts)
    assert not np.array_equal(held_out(1, 20, 5).counts, held_out(0, 20, 5).counts)


@pytest.mark.parametrize(("run", "plan"), [(train_cluster_count, CountPlan(4, 4)), (train_cluster_location, LocationPlan(4, 4))])
def test_a_stopped_training_ends_where_an_unstopped_one_does(run, plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("core.models.training.clusters.N_HELD_OUT", 20)
    whole, about = run(None, plan, tmp_path / "a.checkpoint", no_progress)

    def stop(done: float, what: str, **numbers: float) -> None:
        if done >= 0.5:
            raise KeyboardInterrupt

    monkeypatch.setattr("core.features.networks.training_loop.CHECKPOINT_S", -1.0)
    with pytest.raises(KeyboardInterrupt):
        run(None, plan, tmp_path / "b.checkpoint", stop)
    assert (tmp_path / "b.checkpoint").exists()
    resumed, _ = run(None, plan, tmp_path / "b.checkpoint", no_progress)
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        np.testing.assert_allclose(a.float().numpy(), b.float().numpy(), rtol=1e-2, atol=2e-3)
    assert about["steps"] == 4
    assert about["held_out"] == 20


@pytest.fixture(scope="module")
def resnet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny") / "resnet"
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    ResNetModel(config).save_pretrained(folder)
    return folder


def test_a_pretrained_backbone_is_fine_tuned_and_read_back(resnet_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.models.training.clusters.N_HELD_OUT", 20)
    monkeypatch.setattr(training.NETWORKS["cluster_count"].plan.__class__, "batch", 4)
    request = TrainRequest("cluster_count", steps=1, backbone=str(resnet_folder), out=str(tmp_path))
    _, about = training.train(request, no_progress)
    assert f"--backbone {resnet_folder} --steps 1" in about["command"]
    extractor = make_extractor("cluster_count", own_weights=tmp_path, batch=2)
    assert features_of(extractor, csr_matrix(np.eye(3, 1600))).shape == (3, 24)  # 8 + 16
    network = loaded(extractor)
    begun = ResNetModel.from_pretrained(resnet_folder).state_dict()
    for name, tuned in network.encoder.resnet.state_dict().items():
        if name.endswith("convolution.weight"):
            assert (tuned.float() - begun[name]).abs().max() < 0.01, name  # one small step away from the checkpoint
    with pytest.raises(InputError, match="'ssad_clicks' has a network of its own"):
        training.train(TrainRequest("ssad_clicks", steps=1, backbone="microsoft/resnet-50", out=str(tmp_path)), no_progress)


def test_a_backbone_that_cannot_be_had_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.features import transformers_hub

    monkeypatch.setattr(transformers_hub, "is_cached", lambda source, revision: False)
    monkeypatch.setattr(transformers_hub, "hub_error", lambda source, revision: "no answer")
    with pytest.raises(InputError, match=r"--backbone of cluster_count needs the checkpoint microsoft/resnet-50:"):
        train_cluster_count(None, CountPlan(1, 2, backbone="microsoft/resnet-50"), tmp_path / "x.checkpoint", no_progress)


def test_resnet_50_sees_heatmaps_at_160_pixels() -> None:
    from core.features.networks.clusters import Encoder

    with torch.device("meta"):
        encoder = Encoder(ResNetModel(ResNetConfig()), small=False)
        near, far = encoder.resnet.encoder(torch.empty(1, 64, 40, 40), output_hidden_states=True).hidden_states[-2:]
    assert encoder.side == 160
    assert near.shape == (1, 1024, 10, 10)
    assert far.shape == (1, 2048, 5, 5)


def test_the_shipped_counter_counts() -> None:
    path = find_weights("cluster_count")
    network = load_network(ClusterCountNet(encoder_of(read_about(path)["encoder"])), path)
    found = measure_count(network, held_out(1, 20, 500))
    assert found["top_1"] > 0.5
    assert found["within_1"] > 0.85
    about = read_about(path)
    assert about["held_out"] == str(N_HELD_OUT)
    assert abs(float(about["top_1"]) - found["top_1"]) < 0.1


def test_the_shipped_locator_locates() -> None:
    path = find_weights("cluster_location")
    network = load_network(ClusterLocationNet(encoder_of(read_about(path)["encoder"])), path)
    images = held_out(1, 6, 500)
    found = measure_location(network, images)
    assert found["mean_distance"] < 0.045
    assert found["presence"] > 0.95
    distance, right = location_errors(network, images)
    assert len(distance) == images.n_clusters.sum()
    assert len(right) == 500
    assert abs(float(read_about(path)["mean_distance"]) - found["mean_distance"]) < 0.01


def test_averaging_over_the_symmetries_counts_the_same_images() -> None:
    path = find_weights("cluster_count")
    network = load_network(ClusterCountNet(encoder_of(None)), path)
    images = held_out(2, 20, 60)
    one, eight = count_errors(network, images), count_errors(network, images, turns=True)
    assert one.shape == eight.shape == (60,)
    assert (one == eight).float().mean() > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_features_are_the_same_alone_and_in_a_batch(name: str) -> None:
    counts = csr_matrix(np.random.default_rng(0).poisson(0.1, size=(9, 1600)).astype(np.float32))
    extractor = make_extractor(name, batch=4)
    together = features_of(extractor, counts)
    alone = np.concatenate([features_of(extractor, counts[k]) for k in (0, 8)])
    assert together.shape == (9, EXTRACTORS[name].n_dims) == (9, 384)
    np.testing.assert_allclose(alone, together[[0, 8]], rtol=1e-3, atol=1e-3)
    assert features_of(extractor, counts[:0]).shape == (0, 384)
    empty = features_of(extractor, csr_matrix((1, 1600), dtype=np.float32))
    assert np.isfinite(empty).all()


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_points_where_float32_does(name: str) -> None:
    counts = csr_matrix(held_out(3, 6, 16).counts)
    exact, fast = (features_of(make_extractor(name, precision=p, batch=16), counts) for p in ("float32", "bfloat16"))
    cosine = (exact * fast).sum(axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(fast, axis=1)
    assert cosine.min() > 0.99


@pytest.mark.parametrize("name", NAMES)
def test_a_store_may_have_its_own_weights(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.safetensors").write_bytes(b"not weights")
    with pytest.raises(InputError, match="Train it again"):
        features_of(make_extractor(name, own_weights=tmp_path), csr_matrix((1, 1600), dtype=np.float32))
    assert make_extractor(name, own_weights=tmp_path / "nowhere").weights == EXTRACTORS[name].weights
    assert find_weights(name).stat().st_size <= 8_000_000


def test_the_rate_of_counting_stays_high_then_falls_to_0() -> None:
    plan = CountPlan(steps=6000, rate=1.0)
    by_hand = {0: 0.01, 3000: 0.75, 4500: 0.5, 5250: 0.5 * (0.5 * (1 + np.cos(np.pi * 5250 / 9000)))}
    assert {step: plan.rate_at(step) for step in by_hand} == pytest.approx(by_hand)
    assert plan.rate_at(5999) < 0.001
    assert LocationPlan(steps=1000, rate=1.0).rate_at(500) == pytest.approx(0.5)
