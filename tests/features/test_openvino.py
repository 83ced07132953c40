"""Extractors in OpenVINO: the same features as in torch, never under the same key; and without it, torch."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.banners.images import content_keys
from core.errors import ContractError, InputError
from core.features import DEFAULT, EXTRACTORS
from core.features.base import Extractor, has_openvino
from core.features.cache import FeatureStore
from core.features.running import features_of, stream
from tests.features.test_extractors import counts, resnet_folder, tiny_resnet, tiny_vit, vit_folder

__all__ = ["resnet_folder", "vit_folder"]  # fixtures
ROOT = Path(__file__).parents[2]
installed = pytest.mark.skipif(not has_openvino(), reason="OpenVINO, an optional extra (requirements-fast.txt), is not installed")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEATPROOF_THREADS", "1")
    if has_openvino():
        from core.features.openvino import compiled

        compiled.cache_clear()


@pytest.fixture(params=["resnet", "vit_flat", "vit_cls", "vit_mean"])
def tiny(request: pytest.FixtureRequest, resnet_folder: Path, vit_folder: Path) -> Extractor:
    """In torch and float32."""
    kind, _, pooling = request.param.partition("_")
    return tiny_resnet(resnet_folder) if kind == "resnet" else replace(tiny_vit(vit_folder), pooling=pooling)


def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert not has_openvino()


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@installed
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_features_are_those_of_torch_alone_and_in_any_batch(precision: str, tiny: Extractor) -> None:
    some = counts(20)  # more than two requests: each is used again
    plain = features_of(tiny, some)
    fast = replace(tiny, engine="openvino", precision=precision)
    together = features_of(fast, some)
    if precision == "float32":
        np.testing.assert_allclose(together, plain, atol=1e-5)
    assert cosines(together, plain).min() > 0.999
    assert cosines(together, np.roll(plain, 1, axis=0)).min() < 0.999  # a banner in another's place would be noticed
    np.testing.assert_array_equal(np.concatenate([features_of(fast, some[k]) for k in range(20)]), together)
    np.testing.assert_array_equal(features_of(fast, some[::-1])[::-1], together)
    assert features_of(fast, some[:0]).shape == (0, tiny.n_dims)


@installed
def test_two_streams_of_one_network_do_not_disturb_each_other(vit_folder: Path) -> None:
    fast, some = replace(tiny_vit(vit_folder), engine="openvino"), counts(20)
    pairs = list(zip(stream(fast, some), stream(fast, some[::-1]), strict=True))
    for at, rows in enumerate((some, some[::-1])):
        np.testing.assert_array_equal(np.concatenate([pair[at] for pair in pairs]), features_of(fast, rows))


@installed
def test_it_is_chosen_where_it_is_installed_and_gains(resnet_folder: Path) -> None:
    auto = replace(tiny_resnet(resnet_folder), engine="auto")
    assert auto.run_by == "openvino float32"
    assert replace(auto, engine="torch").run_by == "torch float32"
    assert replace(EXTRACTORS["simclr"], precision="float32").run_by == "torch float32"
    assert EXTRACTORS[DEFAULT].run_by == "openvino float32"


@installed
def test_the_default_gives_in_openvino_what_it_gives_in_torch() -> None:
    some = counts(5)
    fast, plain = (features_of(replace(EXTRACTORS[DEFAULT], engine=engine, batch=5), some) for engine in ("openvino", "torch"))
    np.testing.assert_allclose(fast, plain, atol=1e-3 * np.abs(plain).max())


@installed
def test_a_checkpoint_of_another_width_is_refused(resnet_folder: Path) -> None:
    with pytest.raises(ContractError, match="gives 17 finite features a banner: it gave shape"):
        features_of(replace(tiny_resnet(resnet_folder), width=17, engine="openvino"), counts(1))


@installed
def test_no_statistics_are_sent() -> None:
    code = (
        "import sys; from core.features.openvino import _openvino; _openvino('x').Core();"
        "print(*(name for name, module in sys.modules.items() if 'openvino_telemetry' in name and module))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == ""


def test_features_of_two_engines_are_never_mixed(tiny: Extractor, tmp_path: Path) -> None:
    ways = [replace(tiny, engine=e, precision=p) for e in ("torch", "openvino") for p in ("float32", "bfloat16")]
    assert len({way.key for way in ways}) == 4
    FeatureStore(tmp_path, tiny).fill(counts(3))
    assert [FeatureStore(tmp_path, way).has(content_keys(counts(3))).all() for way in ways] == [True, False, False, False]


def test_without_it_everything_runs_in_torch_under_the_same_key(tiny: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    without_openvino(monkeypatch)
    auto = replace(tiny, engine="auto")
    assert (auto.run_by, auto.key) == ("torch float32", tiny.key)
    np.testing.assert_array_equal(features_of(auto, counts(3)), features_of(tiny, counts(3)))
    assert all(e.run_by.startswith("torch") for e in EXTRACTORS.values())


def test_asked_for_and_not_installed_it_is_said_what_to_do(tiny: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    without_openvino(monkeypatch)
    with pytest.raises(InputError, match=r"OpenVINO: it is not installed. Run `pip install -r requirements-fast.txt`"):
        features_of(replace(tiny, engine="openvino"), counts(1))
