"""The networks that learned to count and to locate clusters of clicks. Imported only where one is trained or run: it brings torch.

Both read raw counts (b, 1, 40, 40) and see them through a ResNet of transformers. A small stem for 40x40 cells stands in the place of the
one for photographs; a pretrained ResNet keeps its own and sees the heatmap enlarged.
"""

import json
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle, softmax
from transformers import ResNetConfig, ResNetModel

MOST_CLUSTERS = 20
MOST_CENTRES = 6
N_HIDDEN = 256
"""Width of the layer before the outputs."""
SLOT_WIDTH = 40
"""Of these, in `cluster_location`, so many belong to each of its six outputs; the rest to all."""
N_CHANNELS = 5


def channels(counts: Tensor) -> Tensor:
    """(b, 5, h, w) input of the encoders from counts (b, 1, h, w): their square root and logarithm, the logarithm of their sum, x and y."""
    counts = counts.float()
    b, _, h, w = counts.shape
    size = counts.sum(dim=(1, 2, 3), keepdim=True).log1p() / 3 - 2
    x, y = torch.linspace(-1, 1, w), torch.linspace(-1, 1, h)
    planes = [size.expand(b, 1, h, w), x.expand(b, 1, h, w), y[:, None].expand(b, 1, h, w)]
    return torch.cat([counts.sqrt() / 2, counts.log1p(), *planes], dim=1)


def small_config() -> ResNetConfig:
    """The encoder that is shipped: 20x20, 10x10 and 5x5 cells."""
    return ResNetConfig(num_channels=N_CHANNELS, embedding_size=64, hidden_sizes=[64, 128, 256], depths=[2, 3, 1], layer_type="basic")


class Encoder(nn.Module):
    """Counts (b, 1, 40, 40) -> maps (b, c, 10, 10) and (b, d, 5, 5): the last two stages of a ResNet.

    `small`: the stem is one for 40x40 cells. Otherwise the ResNet keeps its own stem, which divides the side by four, and the heatmap
    is enlarged until its last map has 5x5 cells: 160 pixels for ResNet-50.
    """

    def __init__(self, resnet: ResNetModel, small: bool) -> None:
        super().__init__()
        self.resnet, self.small = resnet, small
        config: Any = resnet.config
        self.side = 40 if small else 5 * 4 * 2 ** (len(config.depths) - 1 + int(config.downsample_in_first_stage))
        self.widths: tuple[int, int] = (config.hidden_sizes[-2], config.hidden_sizes[-1])
        if small:
            width = config.embedding_size
            stem = [nn.Conv2d(N_CHANNELS, width, 5, 2, 2, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            resnet.embedder = nn.Sequential(*stem)  # type: ignore[assignment]
        else:
            self.to_colours = nn.Conv2d(N_CHANNELS, config.num_channels, 1)

    def forward(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        x = channels(counts).to(next(self.parameters()).dtype)
        if not self.small:
            x = interpolate(self.to_colours(x), size=(self.side, self.side), mode="bilinear", align_corners=False)
        maps = self.resnet.encoder(self.resnet.embedder(x), output_hidden_states=True).hidden_states
        return maps[-2], maps[-1]

    def described(self) -> str:
        """What `encoder_of` makes the same encoder of, its numbers left out."""
        return json.dumps({"small": self.small, "config": self.resnet.config.to_dict()})  # type: ignore[no-untyped-call]


def encoder_of(described: str | None) -> Encoder:
    """The encoder that `described` names; None = the shipped kind. Its numbers are yet to be loaded."""
    if described is None:
        return Encoder(ResNetModel(small_config()), small=True)
    said = json.loads(described)
    return Encoder(ResNetModel(ResNetConfig.from_dict(said["config"])), small=said["small"])


def pooled(near: Tensor, far: Tensor) -> Tensor:
    """(b, c + d) averages over both maps."""
    return torch.cat([near.mean(dim=(2, 3)), far.mean(dim=(2, 3))], dim=1)


class ClusterNet(nn.Module):
    """What both share: the encoder, a map of where centres are believed, the first layer of the head."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        near, far = encoder.widths
        self.rate = nn.Conv2d(near, 4, 1)
        nn.init.constant_(self.rate.bias, -3.0)  # type: ignore[arg-type]
        self.mix = nn.Sequential(nn.Linear(near + far, N_HIDDEN), nn.ReLU(inplace=True))

    def maps(self, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps (b, c, 10, 10) and (b, d, 5, 5), and (b, 20, 20) logarithm of the centres expected in each cell of 2x2."""
        near, far = self.encoder(counts)
        return near, far, pixel_shuffle(self.rate(near), 2).squeeze(1).float()

    def features(self, counts: Tensor) -> Tensor:
        """(b, c + d) averages over the last two maps of the encoder, before the head: 384 of the small one, 3072 of ResNet-50."""
        near, far, _ = self.maps(counts)
        return pooled(near, far)


class ClusterCountNet(ClusterNet):
    """Counts (b, 1, 40, 40) -> (b, 21) logits of the number of clusters."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self.head = nn.Linear(N_HIDDEN, MOST_CLUSTERS + 1)
        self.middle = nn.Linear(N_HIDDEN, 2)

    def forward(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (b, 21) and log rates (b, 20, 20)."""
        near, far, rate = self.maps(counts)
        z = self.mix(pooled(near, far))
        ks = torch.arange(MOST_CLUSTERS + 1, device=z.device)
        middle, width = self.middle(z).float().unbind(1)
        bell = -((ks - (rate.exp().sum(dim=(1, 2)) + middle)[:, None]) ** 2) * (width - 1).exp()[:, None]
        return self.head(z).float() + bell, rate


class ClusterLocationNet(ClusterNet):
    """Counts (b, 1, 40, 40) -> six points (b, 6, 2) as (x, y) in 0..1, and (b,) the logit of "there is any centre".

    Each output looks where it wants to among the cells where centres are believed: it takes the mean of what those cells say, and of
    where they lie. Its attention starts at a sixth of the image, so that the six are not alike.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        near, far = encoder.widths
        self.mix = nn.Sequential(nn.Linear(near + far, N_HIDDEN - MOST_CENTRES * SLOT_WIDTH), nn.ReLU(inplace=True))
        self.fuse = nn.Sequential(nn.Conv2d(near + far, 128, 1), nn.ReLU(inplace=True))
        self.look = nn.Conv2d(128, 4 * MOST_CENTRES, 1)
        self.say = nn.Conv2d(128, 4 * (SLOT_WIDTH - 2), 1)
        self.head = nn.Linear(N_HIDDEN, 2 * MOST_CENTRES + 1)
        at = (torch.arange(20) + 0.5) / 20
        where = torch.stack(torch.meshgrid(at, at, indexing="xy"))
        starts = torch.tensor([[x, y] for y in (0.25, 0.75) for x in (1 / 6, 0.5, 5 / 6)])
        self.register_buffer("where", where.logit(), persistent=False)
        self.bias = nn.Parameter(-10 * (where[None] - starts[:, :, None, None]).square().sum(dim=1))
        self._begin_at_the_mean()

    def _begin_at_the_mean(self) -> None:
        """Before any training, an output is the mean of where its cells lie."""
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            for k in range(MOST_CENTRES):
                for axis in range(2):
                    self.head.weight[2 * k + axis, k * SLOT_WIDTH + axis] = 1.0
            self.head.bias.zero_()

    def _looked(self, near: Tensor, far: Tensor, log_rate: Tensor) -> Tensor:
        fused = self.fuse(torch.cat([near, interpolate(far, size=near.shape[-2:], mode="bilinear")], dim=1))
        wants = pixel_shuffle(self.look(fused), 2).float() + self.bias.float() + log_rate[:, None]
        weights = softmax(wants.flatten(2), dim=2)
        said = pixel_shuffle(self.say(fused), 2).float()
        places = self.where.float().expand(len(said), -1, -1, -1)  # type: ignore[operator]
        with torch.autocast("cpu", enabled=False):  # bfloat16 would round a place to a twentieth of a cell
            slots = torch.bmm(weights, torch.cat([places, said], dim=1).flatten(2).transpose(1, 2))
        rest = self.mix(pooled(near, far))
        return torch.cat([slots.flatten(1).to(rest.dtype), rest], dim=1)

    def forward(self, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Points (b, 6, 2), the logit of any centre (b,), and log rates (b, 20, 20)."""
        near, far, log_rate = self.maps(counts)
        out = self.head(self._looked(near, far, log_rate)).float()
        return torch.sigmoid(out[:, :-1]).view(-1, MOST_CENTRES, 2), out[:, -1], log_rate


def chamfer(predicted: Tensor, centres: Tensor) -> Tensor:
    """(b,) Chamfer distances of sets predicted (b, m, 2) and true (b, k, 2), whose missing points are NaN.

    Sum of both sides' mean plain distance to the nearest of the other set; 0 where the true set is empty: the distance to no point is
    undefined, and a logit of its own says that there is none.
    """
    there = ~centres[:, :, 0].isnan()
    gap = (predicted[:, :, None] - centres.nan_to_num()[:, None]).square().sum(dim=3)
    distance = (gap + 1e-8).sqrt().masked_fill(~there[:, None], torch.inf)
    any_there = there.any(dim=1)
    distance = torch.where(any_there[:, None, None], distance, 0.0)
    of_predicted = distance.amin(dim=2).mean(dim=1)
    of_true = distance.amin(dim=1).masked_fill(~there, 0.0).sum(dim=1) / there.sum(dim=1).clamp(min=1)
    return of_predicted + of_true
