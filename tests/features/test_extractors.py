"""Extractors with tiny checkpoints saved here, and the one whose real weights come with a package."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from core.banners.images import Images
from core.errors import ContractError, HeatproofError, InputError
from core.features import DEFAULT, EXTRACTORS, available, make_extractor, transformers_hub
from core.features.base import Extractor, has_fast_bfloat16
from core.features.resnet50 import ResNet50
from core.features.running import features_of, loaded
from core.features.vit_base import ViTBase

ROOT = Path(__file__).parents[2]


def counts(n: int = 5, seed: int = 0) -> csr_matrix:
    rng = np.random.default_rng(seed)
    return csr_matrix(rng.poisson(0.1, size=(n, 1600)).astype(np.float32))


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network of another test, and one thread: on tiny networks two would only wait for each other."""
    monkeypatch.setenv("HEATPROOF_THREADS", "1")
    loaded.cache_clear()


@pytest.fixture(scope="module")
def resnet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import ResNetConfig, ResNetModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny") / "resnet"
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    ResNetModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def vit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny") / "vit"
    config = ViTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=48, patch_size=16)
    ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def tiny_resnet(folder: Path) -> ResNet50:
    images = Images(side=48, mean=(0.5,) * 3, std=(0.5,) * 3)
    return ResNet50(source=str(folder), revision=None, width=16, images=images, batch=4, precision="float32", engine="torch")


def tiny_vit(folder: Path) -> ViTBase:
    images = Images(side=48, mean=(0.5,) * 3, std=(0.5,) * 3)
    return ViTBase(source=str(folder), revision=None, n_tokens=10, width=16, images=images, batch=4, precision="float32", engine="torch")


def test_the_catalogue_is_what_was_published() -> None:
    dims = {name: e.n_dims for name, e in EXTRACTORS.items()}
    pretrained = {"efficientnet_lite0": 1280, "resnet50": 2048, "vit_base": 151_296, "vit_base_cls": 768, "vit_base_mean": 768}
    published = {**pretrained, "cluster_count": 384, "cluster_location": 384, "simclr": 512, "vit_small": 1600}
    assert {name: dims[name] for name in published} == published
    assert len({e.key for e in EXTRACTORS.values()}) == len(EXTRACTORS)
    assert EXTRACTORS["resnet50"].weights == "microsoft/resnet-50@34c2154c194f"
    with pytest.raises(InputError, match=": 'resnet51' is none"):
        make_extractor("resnet51")


def test_features_are_those_of_the_plain_network(resnet_folder: Path, vit_folder: Path) -> None:
    import torch
    from transformers import ResNetModel, ViTModel

    resnet, vit, few = tiny_resnet(resnet_folder), tiny_vit(vit_folder), counts()
    images = torch.from_numpy(vit.images.make(few))
    with torch.inference_mode():
        pooled = ResNetModel.from_pretrained(resnet_folder).eval()(images).last_hidden_state.mean(dim=(2, 3)).numpy()
        tokens = ViTModel.from_pretrained(vit_folder, add_pooling_layer=False).eval()(images).last_hidden_state.numpy()
    np.testing.assert_allclose(features_of(resnet, few), pooled, atol=1e-5)
    np.testing.assert_allclose(features_of(vit, few), tokens.reshape(5, 160), atol=1e-5)
    np.testing.assert_allclose(features_of(replace(vit, pooling="cls"), few), tokens[:, 0], atol=1e-5)
    np.testing.assert_allclose(features_of(replace(vit, pooling="mean"), few), tokens[:, 1:].mean(axis=1), atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_features_are_the_same_alone_and_in_a_batch(precision: str, resnet_folder: Path, vit_folder: Path) -> None:
    for extractor in (tiny_resnet(resnet_folder), tiny_vit(vit_folder)):
        extractor = replace(extractor, precision=precision)
        together, few = features_of(extractor, counts()), counts()
        alone = np.concatenate([features_of(extractor, few[k]) for k in range(5)])
        assert np.linalg.norm(alone - together, axis=1).max() <= 1e-3 * np.linalg.norm(together, axis=1).min()
        assert np.abs(np.diff(together, axis=0)).max() > 0


def test_bfloat16_stays_near_float32_and_is_never_mixed_with_it(vit_folder: Path) -> None:
    plain = tiny_vit(vit_folder)
    fast = replace(plain, precision="bfloat16")
    a, b = features_of(plain, counts()), features_of(fast, counts())
    cosine = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosine.min() > 0.999
    assert plain.key != fast.key
    assert replace(plain, precision="auto").key == (fast if has_fast_bfloat16() else plain).key


def test_the_key_follows_whatever_the_features_depend_on(vit_folder: Path, tmp_path: Path) -> None:
    plain = tiny_vit(vit_folder)
    others = [replace(plain, pooling="cls"), replace(plain, images=replace(plain.images, transform="log")), replace(plain, batch=8)]
    assert [other.key == plain.key for other in others] == [False, False, True]
    copy = shutil.copytree(vit_folder, tmp_path / "vit")
    assert replace(plain, source=str(copy)).key == plain.key
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\x00\x00\x40@")
    assert replace(plain, source=str(copy)).key != plain.key


def test_a_checkpoint_with_missing_weights_is_refused(vit_folder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    copy = shutil.copytree(vit_folder, tmp_path / "vit")
    weights = load_file(copy / "model.safetensors")
    dropped = sorted(weights)[0]
    save_file({k: v for k, v in weights.items() if k != dropped}, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks 1 of them.*Random weights are never used"):
        features_of(tiny_vit(copy), counts(1))


def test_a_checkpoint_of_another_kind_or_width_is_refused(resnet_folder: Path, vit_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(HeatproofError, match=r"resnet|checkpoint|needs"):
        features_of(tiny_vit(resnet_folder), counts(1))
    with pytest.raises(ContractError, match="gives 17 finite features a banner: it gave shape"):
        features_of(replace(tiny_resnet(resnet_folder), width=17), counts(1))
    with pytest.raises(InputError, match="reads a ResNetModel checkpoint:"):
        features_of(tiny_resnet(tmp_path), counts(1))


def test_without_cache_and_hub_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers_hub, "is_cached", lambda source, revision: False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transformers_hub.hub_error.cache_clear()
    with pytest.raises(
        InputError, match=r"not in the cache and no hub answers \(HF_HUB_OFFLINE is set\).*set HF_HOME.*efficientnet_lite0 runs"
    ):
        features_of(ResNet50(), counts(1))
    found = {a.name: a for a in available()}
    assert found["resnet50"].weights is None
    assert "microsoft/resnet-50 at revision 34c2154c194f" in (found["resnet50"].why_not or "")
    assert found[DEFAULT].why_not is None
    transformers_hub.hub_error.cache_clear()


def test_a_hub_that_does_not_answer_is_noticed_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def refuse(*args: object, **options: object) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    transformers_hub.hub_error.cache_clear()
    assert transformers_hub.hub_error("some/where", None) == "ConnectionError: no route"
    transformers_hub.hub_error.cache_clear()


def test_a_cached_checkpoint_is_found_without_a_hub(monkeypatch: pytest.MonkeyPatch, resnet_folder: Path, tmp_path: Path) -> None:
    import huggingface_hub

    snapshot = tmp_path / "models--microsoft--resnet-50" / "snapshots" / "34c2154c194f829b11125337b98c8f5f9965ff19"
    shutil.copytree(resnet_folder, snapshot)
    found = huggingface_hub.try_to_load_from_cache

    def in_tmp(source: str, name: str, revision: str | None) -> object:
        return found(source, name, cache_dir=tmp_path, revision=revision)

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", in_tmp)
    assert ResNet50().why_not() is None
    assert not transformers_hub.is_cached("microsoft/resnet-50", "another")


def test_the_packaged_weights_are_the_real_ones() -> None:
    """They know a flower and a palace when they see one, and the classes they name are ImageNet's."""
    import torch
    from sklearn.datasets import load_sample_image

    extractor = EXTRACTORS[DEFAULT]
    assert extractor.weights == "efficientnet-lite0-57934424.pth 579344248a93"
    network = loaded(extractor)
    named = {}
    for name in ("china.jpg", "flower.jpg"):
        pixels = torch.from_numpy(load_sample_image(name).copy()).permute(2, 0, 1)[None].float() / 255
        image = torch.nn.functional.interpolate(pixels[..., :427, 107:534], size=160, mode="bilinear", antialias=True)
        with torch.inference_mode():
            named[name] = set(network((image - 127 / 255) / (128 / 255)).topk(5).indices[0].tolist())
    assert named["china.jpg"] & {698, 663, 497, 832}  # palace, monastery, church, stupa
    assert named["flower.jpg"] & {985, 308, 309, 89, 738, 883}  # daisy, bee, pot, vase …


def test_the_default_gives_the_same_alone_and_in_a_batch() -> None:
    prototype = EXTRACTORS[DEFAULT]
    extractor: Extractor = replace(prototype, batch=2, images=replace(prototype.images, side=64))
    together = features_of(extractor, counts())
    alone = np.concatenate([features_of(extractor, counts()[k]) for k in (0, 4)])
    assert together.shape == (5, 1280)
    assert np.linalg.norm(alone - together[[0, 4]], axis=1).max() <= 1e-3 * np.linalg.norm(together, axis=1).min()
    assert features_of(extractor, counts()[:0]).shape == (0, 1280)


def test_info_says_which_weights_are_in_use_and_why_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.features.listing import extractors

    monkeypatch.setattr(transformers_hub, "is_cached", lambda source, revision: False)
    monkeypatch.setattr(transformers_hub, "hub_error", lambda source, revision: "no answer")
    found = {e["name"]: e for e in extractors()}
    assert list(found) == list(EXTRACTORS)
    run_by = found[DEFAULT].pop("run_by")
    assert run_by.split()[0] in ("torch", "openvino")
    assert found[DEFAULT] == {"name": DEFAULT, "n_dims": 1280, "weights": EXTRACTORS[DEFAULT].weights, "why_not": None}
    assert "no hub answers (no answer)" in found["vit_base"]["why_not"]


def test_the_catalogue_comes_without_torch() -> None:
    code = (
        "import sys, core.features, core.banners.images; [e.key for e in core.features.EXTRACTORS.values()]; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == "False"
