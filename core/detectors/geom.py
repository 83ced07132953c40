"""Transformation prediction: who cannot tell how a banner was turned or moved has not seen one like it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from core.detectors.dirichlet import fit_dirichlet
from core.detectors.fitted import FittedNetwork, Network
from core.detectors.moved import Moved, moved

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from core.detectors.networks.autoencoders import Autoencoder

N_DIRICHLET = 1000
"""Images that the Dirichlet distributions are fitted to, at most."""


@dataclass
class Geom(Moved):
    """A classifier learns which of K moves an image went through, and is asked about an image under every one.

    **Score** -1/K sum_t sum_k (a_tk - 1) log y_k(T_t x): y, the classifier's probabilities; a_t, the Dirichlet distribution fitted to its
    answers for training images under T_t. `simple`: -1/K sum_t y_t(T_t x). **Shape** (n, c, side, side) -> (n,).
    **Source** Golan and El-Yaniv 2018, algorithm 1; theirs is a normality, so that here it is negated.
    **Differs** `pretext` says what is to be told: `moves`, the eight ways to turn and mirror a banner and shifts by half a tile, where
    theirs are 72; `rotation`, quarter turns alone; `scale`, on what scale clicks are counted. Moves that change nothing in
    the mean images are left out. The classifier sees how the moved image differs from its group's mean.
    """

    simple: bool = False
    epochs: int = 40
    max_steps: int = 300
    batch: int = 64
    patience: int = 0

    @property
    def name(self) -> str:
        return "geom" if self.pretext == "moves" else f"geom_{self.pretext}"

    def _make_network(self, channels: int, side: int) -> "nn.Module":
        from core.detectors.networks.reader import Reader

        return Reader(channels, side, len(self.kept_))

    def _loss(self, network: Network, x: "Tensor", rng: "Generator") -> "Tensor":
        import torch
        from torch.nn.functional import cross_entropy

        moves = self._moves()
        which = torch.arange(len(x)) % len(moves)
        order = torch.randperm(len(moves), generator=rng)  # where a batch has not all moves the same number of times, others get more
        parts = [moved(x[which == k], moves[int(order[k])]) for k in range(min(len(moves), len(x)))]
        return cross_entropy(network(torch.cat(parts)), order[which.sort(stable=True).values])

    def _log_p(self, network: Network, x: "Tensor") -> "Tensor":
        """(K, b, K) float64 log-probabilities of every move for x under every move."""
        import torch

        return torch.stack([network(moved(x, move)).double().log_softmax(dim=1) for move in self._moves()])

    def _after(self, network: Network, x: "Tensor") -> None:
        import torch

        some = x[np.linspace(0, len(x) - 1, min(len(x), N_DIRICHLET)).astype(np.int64)]
        with torch.inference_mode():
            sums = sum(self._log_p(network, some[a : a + 128]).sum(dim=1) for a in range(0, len(some), 128))
        self.alpha_ = np.stack([fit_dirichlet(row) for row in cast("Tensor", sums).numpy() / len(some)])

    def _values(self, network: Network, x: "Tensor") -> "Tensor":
        return -normality(self._log_p(network, x), None if self.simple else self.alpha_)


def normality(log_p: "Tensor", alpha: NDArray[np.float64] | None) -> "Tensor":
    """(b,) normality of log-probabilities (K, b, K), by Dirichlet parameters (K, K) or, without them, by the mean probability of what was
    done; higher = more normal."""
    import torch

    if alpha is None:
        return log_p.diagonal(dim1=0, dim2=2).exp().mean(dim=1)
    return torch.einsum("tk,tbk->b", torch.from_numpy(alpha - 1), log_p) / len(alpha)


@dataclass
class SobelEdges(FittedNetwork):
    """An autoencoder that draws where an image's edges are, from a code of a few numbers.

    **Score** the root of the summed squared differences between the edges of an image, as the network sees it, and those drawn.
    **Shape** (n, c, side, side) -> (n,).
    **Source** listed among the pretext tasks of an open-set lecture, without its network; edges are Sobel's. Without the code there would
    be nothing to learn: edges follow from the nine pixels around.
    """

    family: ClassVar[str] = "self_supervised"

    code: int | None = 8

    @property
    def name(self) -> str:
        return "geom_edges"

    def _make_network(self, channels: int, side: int) -> "Autoencoder":
        from core.detectors.networks.autoencoders import Convolutional

        return Convolutional(channels, side, batch_norm=True, code=self.code)

    def _loss(self, network: Network, x: "Tensor", rng: "Generator") -> "Tensor":
        from torch.nn.functional import mse_loss

        from core.detectors.networks.moves import edges

        return mse_loss(network(x), edges(x))

    def _values(self, network: Network, x: "Tensor") -> "Tensor":
        from core.detectors.networks.moves import edges

        return (network(x).double() - edges(x)).square().sum(dim=(1, 2, 3)).sqrt()
