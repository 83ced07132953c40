"""Images against a slow twin that really draws clicks, torch's own interpolation, and what must not change them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from core.banners.images import NOISE_SD, Images, bilinear, content_keys, noise_matrix, smoothed
from core.errors import ContractError


def counts(n: int = 6, seed: int = 0) -> csr_matrix:
    rng = np.random.default_rng(seed)
    dense = np.zeros((n, 1600), dtype=np.float32)
    for row in dense:
        np.add.at(row, rng.integers(0, 1600, 60), 1)
    return csr_matrix(dense)


def drawn(share: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The slow twin: n clicks drawn with replacement, evenly within their cells, moved by noise, reflected at the edges, binned."""
    row, col = np.divmod(rng.choice(1600, n, p=share), 40)
    at = np.stack([(row + rng.random(n)) / 40, (col + rng.random(n)) / 40]) + NOISE_SD * rng.normal(size=(2, n))
    at = np.where(at < 0, -at, np.where(at > 1, 2 - at, at))
    cells = np.minimum((at * 40).astype(int), 39)
    return np.bincount(cells[0] * 40 + cells[1], minlength=1600).astype(float)


def test_the_closed_form_is_what_drawing_clicks_converges_to() -> None:
    dense = np.zeros((1, 1600), dtype=np.float32)
    dense[0, [0, 39, 800, 820, 1599]] = [4, 1, 2, 2, 1]  # corners and the middle
    shares = smoothed(csr_matrix(dense))[0]
    n = 400_000
    seen = drawn(dense[0] / 10, n, np.random.default_rng(1)) / n
    assert shares.sum() == pytest.approx(1)
    assert np.abs(seen - shares).max() < 5 * np.sqrt(0.2 / n)


def test_a_sampled_image_has_the_counts_and_the_spread_of_a_multinomial() -> None:
    many = csr_matrix(np.vstack([counts(1).toarray()] * 1))
    expected = smoothed(many)[0] * 50_000
    draws = np.stack([Images(bootstrap="sampled", seed=seed)._bootstrapped(many)[0] for seed in range(200)])
    assert (draws.sum(axis=1) == 50_000).all()
    busy = expected > 100
    z = (draws.mean(axis=0) - expected)[busy] / np.sqrt(expected[busy] / 200)
    assert abs(z.mean()) < 0.5
    assert 0.7 < (draws.var(axis=0)[busy] / expected[busy]).mean() < 1.2


def test_noise_keeps_every_click_and_does_nothing_at_zero() -> None:
    assert noise_matrix(NOISE_SD).sum(axis=1) == pytest.approx(np.ones(40))
    assert noise_matrix(NOISE_SD)[20, 20] > noise_matrix(NOISE_SD)[20, 21] > 0.1
    assert (noise_matrix(0) == np.eye(40)).all()
    assert min(noise_matrix(sd / 40).min() for sd in (0.1, 0.5, 1, 1.5, 2, 5)) >= 0
    assert noise_matrix(0.3).mean() == pytest.approx(1 / 40)


@pytest.mark.parametrize("side", [41, 80, 160, 224])
def test_resizing_is_torch_s_bilinear(side: int) -> None:
    import torch

    image = np.random.default_rng(0).random((40, 40)).astype(np.float32)
    theirs = torch.nn.functional.interpolate(torch.from_numpy(image)[None, None], size=(side, side), mode="bilinear")[0, 0].numpy()
    np.testing.assert_allclose(bilinear(side) @ image @ bilinear(side).T, theirs, atol=1e-5)


@pytest.mark.parametrize("transform", ["sqrt", "log", "none"])
def test_brightness_runs_from_0_to_1_before_it_is_normalised(transform: str) -> None:
    plain = Images(transform=transform).make(counts())  # type: ignore[arg-type]
    assert plain.shape == (6, 1, 40, 40)
    assert plain.dtype == np.float32
    np.testing.assert_allclose(plain.max(axis=(1, 2, 3)), 1)
    assert plain.min() >= 0
    three = Images(transform=transform, side=64, mean=(0.5, 0.4, 0.3), std=(0.2, 0.5, 1.0)).make(counts())  # type: ignore[arg-type]
    assert three.shape == (6, 3, 64, 64)
    np.testing.assert_allclose(three[:, 0] * 0.2 + 0.5, three[:, 2] * 1.0 + 0.3, atol=1e-6)


def test_the_transforms_by_hand() -> None:
    dense = np.zeros((1, 1600), dtype=np.float32)
    dense[0, [800, 820]] = [1, 3]
    bright = {t: Images(transform=t, noise_sd=0.0).make(csr_matrix(dense))[0, 0].ravel()[[800, 820, 0]] for t in ("none", "sqrt", "log")}  # type: ignore[arg-type]
    np.testing.assert_allclose(bright["none"], [1 / 3, 1, 0])
    np.testing.assert_allclose(bright["sqrt"], [np.sqrt(1 / 3), 1, 0])
    np.testing.assert_allclose(bright["log"], [np.log1p(12_500) / np.log1p(37_500), 1, 0])


@pytest.mark.parametrize("bootstrap", ["expected", "sampled"])
def test_a_banner_looks_the_same_alone_in_a_batch_and_in_any_order(bootstrap: str) -> None:
    images = Images(bootstrap=bootstrap, side=56)  # type: ignore[arg-type]
    together = images.make(counts())
    alone = np.concatenate(list(images.stream(counts()[::-1], 1)))[::-1]
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert [len(part) for part in images.stream(counts(), 4)] == [4, 2]


def test_an_empty_heatmap_is_dark() -> None:
    for bootstrap in ("expected", "sampled"):
        assert (Images(bootstrap=bootstrap).make(csr_matrix((2, 1600), dtype=np.float32)) == 0).all()  # type: ignore[arg-type]


def test_keys_follow_the_content() -> None:
    some = counts()
    shuffled = some.tocoo()
    order = np.random.default_rng(0).permutation(shuffled.nnz)
    other = csr_matrix((shuffled.data[order], (shuffled.row[order], shuffled.col[order])), shape=some.shape)
    assert (content_keys(some) == content_keys(other)).all()
    assert len(set(content_keys(some).tolist())) == 6
    assert (content_keys(some[[3]]) == content_keys(some)[3]).all()
    more = some.copy()
    more.data[0] += 1
    assert (content_keys(more) != content_keys(some)).tolist() == [True] + [False] * 5


def test_settings_that_make_no_image_are_refused() -> None:
    with pytest.raises(ContractError, match=": side=39"):
        Images(side=39)
    with pytest.raises(ContractError, match="std above 0"):
        Images(mean=(0.5, 0.5), std=(1.0,))
