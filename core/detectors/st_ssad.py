"""ST-SSAD: the augmentation's own size is learned, so that augmented images come to stand where unlabelled odd ones do."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from core.detectors.augment import Name
from core.detectors.base import Groups
from core.detectors.fitted import Network
from core.detectors.ssad import Ssad
from core.errors import ContractError
from core.features.networks.training_loop import Plan, fit_network
from core.logs.progress import no_progress
from core.statistics.arrays import Image

if TYPE_CHECKING:
    from torch import Generator, Tensor

GATE = 0.75
"""Share of normal images and augmented ones that a network tells apart, below which its validation loss says nothing: all is mixed up."""
MEASURED = 512
"""Images of each set that the starts are compared on."""
LEARNABLE = ("cutdiff", "rotation")


@dataclass
class Start:
    """One training: its network, the sizes by step (steps, 3), its loss curve, and what it is chosen by."""

    network: Network
    learned: NDArray[np.float64]
    losses: list[float]
    validation: float
    accuracy: float


@dataclass
class StSsad(Ssad):
    """`ssad_cutdiff` whose area, aspect and angle are learned by gradient on a validation loss of unlabelled images.

    **Score** as of `Ssad`. **Shape** images (n, c, side, side) -> (n,).
    **Source** Yoo, Zhao, Zhao and Akoglu 2023 (ST-SSAD); each step moves the sizes down the validation loss, then the network down its own.
    First order: the loss's gradient through the augmentation alone; `second_order`: also through one virtual step of the network.
    Of `starts` trainings from other sizes the one of lowest loss is kept among those that tell at least GATE of the images apart; of none
    that does, the one that tells most.
    `unlabelled` images and groups, of which some are anomalous; None = all that `fit` is given, the trimmed ones too. `suspected` is the
    share of them taken for anomalous, an assumption: the most suspicious by the network as it is.
    **Differs** `validation` is `matching_loss` of the suspects; `published` is the paper's `alignment_loss` of all unlabelled images,
    which where most are ok draws every size to the smallest. Sizes are sigmoids of what is learned; Adam.
    State: `learned_` (steps, 3) area, aspect and angle in degrees at every step of the training kept; `starts_` (starts, 5) a training's
    validation loss, accuracy, and last sizes.
    """

    augmentation: Name = "cutdiff"
    angle: tuple[float, float] = (-45.0, 45.0)
    second_order: bool = False
    validation: Literal["matching", "published"] = "matching"
    suspected: float = 0.1
    starts: int = 2
    warm_share: float = 0.25
    """Share of the steps before the sizes move."""
    size_rate: float = 0.05
    virtual_rate: float = 0.01
    n_unlabelled: int = 128
    """Unlabelled images in a step."""
    max_steps: int = 300
    unlabelled: tuple[Image, Groups] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return "st_ssad"

    def _fit(self, X: Image, groups: Groups) -> None:
        if self.augmentation not in LEARNABLE or self.starts < 1:
            what = f"augmentation={self.augmentation!r}, starts={self.starts}"
            raise ContractError(f"st_ssad learns the sizes of {' or '.join(LEARNABLE)} from 1 start or more: {what}. Choose others.")
        self._others = self.unlabelled or (X, groups)
        super()._fit(X, groups)
        del self._others

    def _trained(self, network: Network, x: "Tensor") -> list[float]:
        others = self._tensor(*self._others)
        found = [self._start(k, x, others) for k in range(self.starts)]
        able = [s for s in found if s.accuracy >= GATE]
        best = min(able, key=lambda s: s.validation) if able else max(found, key=lambda s: s.accuracy)
        network.load_state_dict(best.network.state_dict())
        network.eval()
        self.learned_ = best.learned
        self.starts_ = np.array([[s.validation, s.accuracy, *s.learned[-1]] for s in found])
        return best.losses

    def _start(self, k: int, x: "Tensor", others: "Tensor") -> Start:
        """Trains one network from the k-th initial sizes."""
        import torch

        network, plan = self._another(k), self._plan(len(x))
        free = self._first(k).requires_grad_()
        mover = torch.optim.Adam([free], lr=self.size_rate)
        learned: list[NDArray[np.float64]] = []

        def loss(step: int) -> "Tensor":
            rng = torch.Generator().manual_seed((self.seed * 1_009 + k) * 1_000_003 + step)
            batch = x[torch.randint(len(x), (plan.batch,), generator=rng)]
            if step >= self.warm_share * plan.steps:
                some = others[torch.randint(len(others), (self.n_unlabelled,), generator=rng)]
                mover.zero_grad()
                free.grad = torch.autograd.grad(self._validation(network, self._at(free), batch, some, rng), free)[0]
                mover.step()
            sizes = self._at(free).detach()
            learned.append(sizes.double().numpy())
            return self._told_apart(network, batch, self._beside(batch, sizes, rng))

        curve = fit_network(network, loss, Plan(**{**vars(plan), "patience": 0}), None, self.progress or no_progress)
        steps = np.array(learned)
        steps[:, 2] = np.degrees(steps[:, 2])
        return Start(network, steps, curve, *self._measured(network, self._at(free).detach(), x, others))

    def _another(self, k: int) -> Network:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed * 1_009 + k)
            network: Network = self._make_network(*self.means_.shape[1:3])
        return network.to(memory_format=torch.channels_last)

    def _first(self, k: int) -> "Tensor":
        """(3,) what the k-th training's sizes begin at: areas evenly over their range, aspect and angle in the middle."""
        import torch

        share = (k + 0.5) / self.starts
        return torch.tensor([np.log(share / (1 - share)), 0.0, 0.0], dtype=torch.float32)

    def _at(self, free: "Tensor") -> "Tensor":
        return self.ranges.at(free.sigmoid())

    def _sizes(self, rng: "Generator") -> "Tensor":
        """(3,) the sizes that were learned; none is drawn."""
        import torch

        area, aspect, degrees = self.learned_[-1]
        return torch.tensor([area, aspect, np.radians(degrees)], dtype=torch.float32)

    def _validation(self, network: Network, sizes: "Tensor", x: "Tensor", some: "Tensor", rng: "Generator") -> "Tensor":
        """Validation loss of a batch in order and one unlabelled, with a way back to the sizes; running means stand still."""
        import torch

        made = self._beside(x, sizes, rng)
        weights = self._virtual(network, x, made) if self.second_order else {n: v.detach() for n, v in network.named_parameters()}
        state = {name: value.clone() for name, value in network.named_buffers()} | weights
        network.eval()
        with torch.set_grad_enabled(self.second_order):
            train, unlabelled = (self._embedded(network, state, part) for part in (x, some))
        loss = self._alignment(network, train, self._embedded(network, state, made), unlabelled)
        network.train()
        return loss

    def _embedded(self, network: Network, state: "dict[str, Tensor]", x: "Tensor") -> "Tensor":
        from torch.func import functional_call

        own = {name.removeprefix("body."): value for name, value in state.items() if name.startswith("body.")}
        embedded: Tensor = functional_call(network.body, own, (x,))
        return embedded

    def _alignment(self, network: Network, train: "Tensor", made: "Tensor", unlabelled: "Tensor") -> "Tensor":
        """The validation loss of embeddings."""
        import torch

        from core.detectors.networks.alignment import alignment_loss, matching_loss

        if self.validation == "published":
            return alignment_loss(train, made, unlabelled)
        with torch.no_grad():
            rank = network.head(unlabelled).argsort(descending=True)
        return matching_loss(train, made, unlabelled[rank[: max(2, round(self.suspected * len(rank)))]])

    def _virtual(self, network: Network, x: "Tensor", made: "Tensor") -> "dict[str, Tensor]":
        """The network's parameters after one step down the training loss, as functions of the sizes."""
        import torch
        from torch.func import functional_call
        from torch.nn.functional import binary_cross_entropy_with_logits

        weights = dict(network.named_parameters())
        buffers = {name: value.clone() for name, value in network.named_buffers()}
        wrong = (torch.arange(2 * len(x)) >= len(x)).float()
        loss = binary_cross_entropy_with_logits(functional_call(network, {**weights, **buffers}, (torch.cat([x, made]),)), wrong)
        slopes = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
        return {name: value - self.virtual_rate * slope for (name, value), slope in zip(weights.items(), slopes, strict=True)}

    def _measured(self, network: Network, sizes: "Tensor", x: "Tensor", others: "Tensor") -> tuple[float, float]:
        """Validation loss and accuracy on up to MEASURED images of each set, the network at rest."""
        import torch

        rng = torch.Generator().manual_seed(self.seed)
        train, some = x[:: -(-len(x) // MEASURED)], others[:: -(-len(others) // MEASURED)]
        made = self._beside(train, sizes, rng)
        with torch.inference_mode():
            codes = [network.body(part) for part in (train, made, some)]
            right = torch.cat([network.head(codes[0]) < 0, network.head(codes[1]) >= 0])
        return float(self._alignment(network, *codes)), float(right.double().mean())
