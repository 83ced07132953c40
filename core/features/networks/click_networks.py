"""The small networks that are trained here and shipped as weights. Imported only where one is trained or run: it brings torch."""

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """Two 3x3 convolutions with batch norm beside a shortcut; (b, c, h, w) -> (b, d, h / stride, w / stride)."""

    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        same = stride == 1 and n_in == n_out
        self.shortcut = nn.Identity() if same else nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class SsadClicksNet(nn.Module):
    """Reference-conditioned classifier: (b, 4, 40, 40) channels of `ssad_clicks` -> (b,) logit of "corrupted"."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(4, 32, 5, 2, 2, bias=False),  # 20 x 20
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            Residual(32, 32),
            Residual(32, 64, 2),  # 10 x 10
            Residual(64, 96, 2),  # 5 x 5
        )
        self.head = nn.Sequential(nn.Linear(192, 96), nn.ReLU(inplace=True), nn.Linear(96, 1))

    def features(self, x: Tensor) -> Tensor:
        """(b, 192) mean and maximum over the last map."""
        z = self.trunk(x)
        return torch.cat([z.mean(dim=(2, 3)), z.amax(dim=(2, 3))], dim=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x)).squeeze(1)
