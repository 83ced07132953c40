"""Augmentations of images do what their formulas say, on cases done by hand; sizes can be learned where they are differentiable."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from core.detectors.augment import NAMES, Ranges
from core.detectors.augment.densities import augmented_counts
from core.detectors.augment.patches import (
    AUGMENTATIONS,
    Places,
    cutavg,
    cutdiff,
    cutout,
    cutpaste,
    find,
    hole,
    placed,
    rotation,
    scaled_to_peak,
)
from core.errors import ContractError
from core.models.training.corruptions import clicks_of, pairs
from tests.support.banners import drawn
from tests.support.banners import sizes as click_counts


def sizes(area: float, aspect: float = 1.0, angle: float = 0.0) -> torch.Tensor:
    return torch.tensor([area, aspect, angle], dtype=torch.float32)


def at(y: float, x: float, to: tuple[float, float] = (0.5, 0.5)) -> Places:
    return Places(torch.tensor([[y, x]]), torch.tensor([to]))


def ramp() -> torch.Tensor:
    return torch.arange(64, dtype=torch.float32).reshape(1, 1, 8, 8) / 63


def test_cutout_by_hand() -> None:
    """A quarter of the area at the middle of 8 x 8 pixels: rows and columns 2 to 5."""
    left = ramp() + 1
    made = cutout(left, sizes(0.25), at(0.5, 0.5))
    assert (made[0, 0, 2:6, 2:6] == 0).all()
    assert int((made == 0).sum()) == 16
    assert torch.equal(made[made > 0], left[made > 0])


def test_the_aspect_is_width_over_height() -> None:
    made = cutout(torch.ones(1, 1, 8, 8), sizes(0.25, 4.0), at(0.5, 0.5))  # sqrt(0.25 * 4) = 1 wide, sqrt(0.25 / 4) = 1/4 high
    assert (made[0, 0, 3:5] == 0).all()
    assert int((made == 0).sum()) == 16


def test_cutavg_keeps_the_sum() -> None:
    x = ramp()
    made = cutavg(x, sizes(0.25), at(0.5, 0.5))
    assert torch.allclose(made[0, 0, 2:6, 2:6], x[0, 0, 2:6, 2:6].mean())
    assert float(made.sum()) == pytest.approx(float(x.sum()), rel=1e-6)


def test_cutpaste_by_hand() -> None:
    x = ramp()
    made = cutpaste(x, sizes(1 / 16), at(0.125, 0.125, (0.875, 0.875)))  # the first 2 x 2 pixels go to the last
    expected = x.clone()
    expected[0, 0, 6:, 6:] = x[0, 0, :2, :2]
    assert torch.equal(made, expected)
    turned = cutpaste(x, sizes(1 / 16, angle=np.pi), at(0.125, 0.125, (0.875, 0.875)))
    assert torch.equal(turned[0, 0, 6:, 6:], x[0, 0, :2, :2].flip(0, 1))


def test_cutdiff_by_hand() -> None:
    """256 x 256 pixels, area 0.075 and aspect 0.71: the Gaussian's deviations are sqrt(0.1) of the sides, 26.3 rows and 18.7 columns."""
    x = torch.ones(1, 1, 256, 256)
    g = hole(x, sizes(0.075, 0.71), at(128.5 / 256, 128.5 / 256))[0, 0]
    assert float(g[128, 128]) == pytest.approx(1)
    deviation = [float(1 / (-2 * line.log()).sqrt()) * 20 for line in (g[148, 128], g[128, 148])]
    assert deviation == pytest.approx([26.3, 18.7], abs=0.1)
    assert torch.allclose(cutdiff(x, sizes(0.075, 0.71), at(0.5, 0.5)), 1 - hole(x, sizes(0.075, 0.71), at(0.5, 0.5)))
    assert float(cutdiff(x / 4, sizes(0.5), at(0.5, 0.5)).min()) == 0  # clipped, never negative


def test_rotation_by_hand() -> None:
    quarter = rotation(ramp(), sizes(1, angle=np.pi / 2), at(0.5, 0.5))
    assert torch.allclose(quarter, torch.rot90(ramp(), 1, (2, 3)), atol=1e-4) or torch.allclose(
        quarter, torch.rot90(ramp(), -1, (2, 3)), atol=1e-4
    )
    assert torch.allclose(rotation(ramp(), sizes(1), at(0.5, 0.5)), ramp(), atol=1e-5)


@pytest.mark.parametrize("name", ["cutdiff", "rotation"])
def test_gradients_reach_the_sizes(name: str) -> None:
    def changed(s: torch.Tensor) -> torch.Tensor:
        return AUGMENTATIONS[name](torch.linspace(0.2, 1, 400).reshape(1, 1, 20, 20), s, at(0.5, 0.45)).square().sum()

    s = sizes(0.1, 0.6, 0.3).requires_grad_()
    found = torch.autograd.grad(changed(s), s)[0]
    step = 1e-2
    for k in [2] if name == "rotation" else [0, 1, 2]:
        by = torch.zeros(3)
        by[k] = step
        slope = float(changed(s.detach() + by) - changed(s.detach() - by)) / (2 * step)
        assert float(found[k]) == pytest.approx(slope, rel=0.1, abs=0.05)


def test_places_on_content_are_where_something_is() -> None:
    x = torch.zeros(200, 1, 10, 10)
    x[:, :, 2, 7] = 1
    places = placed(x, torch.Generator().manual_seed(0), on_content=True)
    assert torch.allclose(places.centre, torch.tensor([[0.25, 0.75]]).expand(200, 2))
    anywhere = placed(x, torch.Generator().manual_seed(0)).centre
    assert float(anywhere.min()) < 0.05 < 0.95 < float(anywhere.max())


def test_the_sum_gives_nothing_away() -> None:
    x = torch.rand((4, 1, 20, 20), generator=torch.Generator().manual_seed(1)) * torch.tensor([0.1, 1, 5, 0]).view(4, 1, 1, 1)
    for name in NAMES:
        made = scaled_to_peak(x, sizes(0.2, 1, 0.5), placed(x, torch.Generator().manual_seed(2)), name, True)
        lengths = made.square().sum(dim=(1, 2, 3))
        assert torch.allclose(lengths[:3], torch.ones(3), atol=1e-4), name
        assert float(lengths[3]) == 0, "an empty image stays empty"


def test_ranges_draw_within_and_refuse_nonsense() -> None:
    ranges = Ranges((0.02, 0.4), (0.3, 3.0), (15, 345))
    found = torch.stack([ranges.draw(torch.Generator().manual_seed(k)) for k in range(300)])
    low, high = found.amin(0), found.amax(0)
    assert 0.02 <= low[0] < 0.025 < 0.35 < high[0] <= 0.4
    assert 0.3 <= low[1] < high[1] <= 3.0
    assert np.radians(15) <= low[2] < high[2] <= np.radians(345)
    assert float(found[:, 0].median()) == pytest.approx(np.sqrt(0.02 * 0.4), rel=0.25)  # even in logarithms
    for wrong in ({"area": (0.0, 0.1)}, {"aspect": (2.0, 1.0)}, {"angle": (5.0, 0.0)}):
        with pytest.raises(ContractError, match=r"drawn|augmentation|angle"):
            Ranges(**wrong)
    with pytest.raises(ContractError, match="'cutoff'"):
        find("cutoff")


def test_pairs_have_as_many_clicks_on_both_sides() -> None:
    rng = np.random.default_rng(0)
    counts = csr_matrix(drawn(1, click_counts(2, 300)))
    good, bad, target = pairs(rng, counts, csr_matrix(drawn(3, click_counts(4, 300))))
    n_good, n_bad = (np.asarray(part.sum(axis=1)).ravel() for part in (good, bad))
    assert abs(roc_auc_score(np.repeat([0, 1], 300), np.concatenate([n_good, n_bad])) - 0.5) < 0.06
    assert (target <= np.asarray(counts.sum(axis=1)).ravel()).all()
    assert np.abs(n_good - target).mean() < 10
    assert len(clicks_of(good, rng).banner) == n_good.sum()


def test_augmented_counts_keep_their_sum_and_change_every_banner() -> None:
    counts = csr_matrix(drawn(5, click_counts(6, 40)))
    made = augmented_counts(np.random.default_rng(0), counts, NAMES)
    np.testing.assert_allclose(np.asarray(made.sum(axis=1)), np.asarray(counts.sum(axis=1)), rtol=1e-4)
    assert (np.abs((made - counts).toarray()).sum(axis=1) > 0.5).all()
    again = augmented_counts(np.random.default_rng(0), counts, NAMES)
    assert (again != made).nnz == 0
    only = augmented_counts(np.random.default_rng(1), counts, ("cutout",)).toarray()
    shares, before = only / only.sum(axis=1, keepdims=True), counts.toarray() / counts.sum(axis=1)
    assert ((shares == 0) | (shares >= before - 1e-5)).all()  # what is left has a larger share each
