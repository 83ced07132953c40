"""Deep SVDD: a network that maps good banners close to one point; distance from it is anomalous."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from core.detectors.fitted import FittedNetwork, Network
from core.features.networks.training_loop import Plan, fit_network
from core.logs.progress import no_progress

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

LEAST_CENTRE = 0.1


@dataclass
class DeepSvdd(FittedNetwork):
    """One-class Deep SVDD with a LeNet of convolutions `widths` and fully connected layers `dense`.

    **Score** ‖φ(x) - c‖²; c is the mean of the pre-trained network's outputs, no entry nearer to 0 than 0.1.
    **Shape** (n, c, side, side) -> (n,).
    **Source** Ruff et al. 2018, equation 4 and section 3.3: no bias, no affine norm; an autoencoder is trained first. Widths (8, 4) and
    dense (32,) are its MNIST network: 7,272 parameters at 1x28x28.
    **Differs** sees how an image differs from its group's mean in place of a globally normalised one; hundreds of steps.
    """

    family: ClassVar[str] = "one_class"

    widths: tuple[int, ...] = (8, 16)
    dense: tuple[int, ...] = (32,)
    rate: float = 1e-4
    pretrained_steps: int = 150
    pretrained_rate: float = 1e-3

    @property
    def name(self) -> str:
        return "deep_svdd"

    def _make_network(self, channels: int, side: int) -> "nn.Module":
        from core.detectors.networks.one_class import LeNet

        return LeNet(channels, side, self.widths, self.dense)

    def _before(self, network: Network, x: "Tensor") -> None:
        """Trains the network as an encoder, and puts the centre where it maps the images."""
        import torch

        self._pretrain(network, x)
        with torch.inference_mode():
            network.eval()
            outputs = torch.cat([network(x[a : a + 1024]) for a in range(0, len(x), 1024)])
        centre = outputs.mean(dim=0)
        pushed = torch.where(centre < 0, -LEAST_CENTRE, LEAST_CENTRE)
        network.centre.copy_(torch.where(centre.abs() < LEAST_CENTRE, pushed, centre))

    def _pretrain(self, network: Network, x: "Tensor") -> None:
        import torch
        from torch.nn.functional import mse_loss

        from core.detectors.networks.one_class import LeNetAutoencoder

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            whole = LeNetAutoencoder(network, x.shape[1], x.shape[2], self.widths, self.dense[-1])
        steps = min(self.pretrained_steps, self._plan(len(x)).steps)

        def loss(step: int) -> "Tensor":
            rng = torch.Generator().manual_seed(self.seed * 1_000_003 + self.max_steps + step)
            batch = x[torch.randint(len(x), (self.batch,), generator=rng)]
            return mse_loss(whole(batch), batch)

        if steps:
            fit_network(whole, loss, Plan(steps, self.batch, self.pretrained_rate, self.seed), None, self.progress or no_progress)

    def _loss(self, network: Network, x: "Tensor", rng: "Generator") -> "Tensor":
        return (network(x) - network.centre).square().sum(dim=1).mean()

    def _values(self, network: Network, x: "Tensor") -> "Tensor":
        return (network(x).double() - network.centre).square().sum(dim=1)
