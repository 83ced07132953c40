"""Autoencoders: (b, channels, side, side) images in -1..1 -> a code -> images of the same shape in -1..1.

At 3 channels and 64 pixels a side they have the parameter counts that the course decks give. With `code` the convolutional ones get a
linear bottleneck of that many numbers, because a code as wide as the image reconstructs broken banners as well as good ones.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

WIDTHS = (12, 24, 48)


class Autoencoder(nn.Module):
    """Has `encode` (b, c, h, w) -> code and `decode` code -> (b, c, h, w)."""

    encoder: nn.Module
    decoder: nn.Module

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, code: Tensor) -> Tensor:
        return self.decoder(code)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


def sides(side: int, n: int) -> list[int]:
    """Sides of the maps from the image on, after 0..n convolutions of kernel 4, stride 2 and padding 1; 28 -> 28, 14, 7, 3."""
    out = [side]
    for _ in range(n):
        out.append(out[-1] // 2)
    return out


def convolutions(channels: Sequence[int], batch_norm: bool) -> list[nn.Module]:
    """Halving convolutions from each of `channels` to the next, each with its norm and ReLU."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(channels):
        norm = [nn.BatchNorm2d(n_out)] if batch_norm else []
        layers += [nn.Conv2d(n_in, n_out, 4, 2, 1), *norm, nn.ReLU()]
    return layers


def deconvolutions(channels: Sequence[int], to: Sequence[int], batch_norm: bool) -> list[nn.Module]:
    """Doubling transposed convolutions from each of `channels` to the next, up to the sides `to`; the last one ends in tanh."""
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(itertools.pairwise(channels)):
        last = i == len(channels) - 2
        odd = to[i + 1] - 2 * to[i]  # 0 or 1: what the halving rounded off
        norm = [nn.BatchNorm2d(n_out)] if batch_norm and not last else []
        layers += [nn.ConvTranspose2d(n_in, n_out, 4, 2, 1, output_padding=odd), *norm, nn.Tanh() if last else nn.ReLU()]
    return layers


def dense(widths: Sequence[int], batch_norm: bool = False) -> list[nn.Module]:
    """Fully connected layers from each of `widths` to the next, each with its norm and ReLU except the last."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(widths):
        layers += [nn.Linear(n_in, n_out), *([nn.BatchNorm1d(n_out)] if batch_norm else []), nn.ReLU()]
    return layers[: -2 if batch_norm else -1]


class FullyConnected(Autoencoder):
    """All pixels to `widths` and back; 3,176,419 parameters at 3x64x64. No activation on the code."""

    def __init__(self, channels: int, side: int, widths: Sequence[int] = (128, 64, 12, 3)) -> None:
        super().__init__()
        path = [channels * side * side, *widths]
        self.encoder = nn.Sequential(nn.Flatten(), *dense(path))
        self.decoder = nn.Sequential(*dense(path[::-1]), nn.Tanh(), nn.Unflatten(1, (channels, side, side)))


class Convolutional(Autoencoder):
    """Halving convolutions and their mirror image; 47,355 parameters at 3 channels, 47,595 with batch norm, whatever the side."""

    def __init__(self, channels: int, side: int, widths: Sequence[int] = WIDTHS, batch_norm: bool = False, code: int | None = None) -> None:
        super().__init__()
        path, to = [channels, *widths], sides(side, len(widths))
        self.encoder = nn.Sequential(*convolutions(path, batch_norm))
        self.decoder = nn.Sequential(*deconvolutions(path[::-1], to[::-1], batch_norm))
        if code:
            flat = widths[-1] * to[-1] ** 2
            self.encoder.extend([nn.Flatten(), nn.Linear(flat, code)])
            self.decoder = nn.Sequential(*opened(code, widths[-1], to[-1]), *self.decoder)


def opened(code: int, n_maps: int, side: int) -> list[nn.Module]:
    """Code (b, code) -> maps (b, n_maps, side, side)."""
    return [nn.Linear(code, n_maps * side * side), nn.ReLU(), nn.Unflatten(1, (n_maps, side, side))]


class MultiEncoder(Autoencoder):
    """A fully connected and a convolutional encoder, their codes side by side, and one decoder."""

    def __init__(
        self,
        channels: int,
        side: int,
        hidden: Sequence[int] = (1024, 256),
        widths: Sequence[int] = WIDTHS,
        code: tuple[int, int] = (64, 128),
    ) -> None:
        super().__init__()
        path, to = [channels, *widths], sides(side, len(widths))
        self.flat = nn.Sequential(nn.Flatten(), *dense([channels * side * side, *hidden, code[0]], batch_norm=True))
        self.maps = nn.Sequential(*convolutions(path, True), nn.Flatten(), nn.Linear(widths[-1] * to[-1] ** 2, code[1]))
        self.decoder = nn.Sequential(*opened(sum(code), widths[-1], to[-1]), *deconvolutions(path[::-1], to[::-1], True))

    def encode(self, x: Tensor) -> Tensor:
        return torch.cat([self.flat(x), self.maps(x)], dim=1)


class Variational(Autoencoder):
    """Convolutional, with two heads for mean and log-variance of the code; 65,835 parameters at 3 channels. `encode` gives the mean."""

    def __init__(self, channels: int, side: int, widths: Sequence[int] = WIDTHS, code: int | None = None) -> None:
        super().__init__()
        path, to = [channels, *widths], sides(side, len(widths))
        self.decoder = nn.Sequential(*deconvolutions(path[::-1], to[::-1], False))
        self.mean: nn.Module
        self.log_variance: nn.Module
        if code:
            flat = widths[-1] * to[-1] ** 2
            self.encoder = nn.Sequential(*convolutions(path, False), nn.Flatten())
            self.mean, self.log_variance = nn.Linear(flat, code), nn.Linear(flat, code)
            self.decoder = nn.Sequential(*opened(code, widths[-1], to[-1]), *self.decoder)
        else:
            self.encoder = nn.Sequential(*convolutions(path[:-1], False))
            self.mean, self.log_variance = (nn.Conv2d(widths[-2], widths[-1], 4, 2, 1) for _ in range(2))

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the codes of images."""
        h = self.encoder(x)
        return self.mean(h), self.log_variance(h).clamp(-12, 6)

    def encode(self, x: Tensor) -> Tensor:
        return self.mean(self.encoder(x))
