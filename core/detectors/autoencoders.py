"""The plain autoencoders of the course decks: fully connected, convolutional, with batch norm, and with two encoders."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.detectors.reconstruction import Reconstruction

if TYPE_CHECKING:
    from core.detectors.networks.autoencoders import Autoencoder


@dataclass
class FcnAutoencoder(Reconstruction):
    """Fully connected autoencoder with a code of three numbers: close to the distance from the mean image.

    **Score** and **Shape** as in Reconstruction: (n, c, side, side) -> (n,).
    **Source** NTU machine learning course 2021, homework 8, "simple": 3,176,419 parameters at 3x64x64.
    """

    widths: tuple[int, ...] = (128, 64, 12, 3)

    @property
    def name(self) -> str:
        return "fcn_autoencoder"

    def _make_network(self, channels: int, side: int) -> "Autoencoder":
        from core.detectors.networks.autoencoders import FullyConnected

        return FullyConnected(channels, side, self.widths)


@dataclass
class CnnAutoencoder(Reconstruction):
    """Convolutional autoencoder; with `batch_norm` it is cnn_bn_autoencoder.

    **Score** and **Shape** as in Reconstruction: (n, c, side, side) -> (n,).
    **Source** the same homework, "medium" (47,355 parameters at 3 channels) and "strong" (47,595): `code=None`.
    **Differs** a linear code of `code` numbers: the decks' code of 48 maps is three quarters of a heatmap's pixels and keeps its faults.
    """

    batch_norm: bool = False
    code: int | None = 8

    @property
    def name(self) -> str:
        return "cnn_bn_autoencoder" if self.batch_norm else "cnn_autoencoder"

    def _make_network(self, channels: int, side: int) -> "Autoencoder":
        from core.detectors.networks.autoencoders import Convolutional

        return Convolutional(channels, side, batch_norm=self.batch_norm, code=self.code)


@dataclass
class MultiEncoderAutoencoder(Reconstruction):
    """A fully connected and a convolutional encoder whose codes one decoder draws from.

    **Score** and **Shape** as in Reconstruction: (n, c, side, side) -> (n,).
    **Source** the same homework 2022, "strong"; its network was never published, this is the shape of the public solutions.
    **Differs** narrower throughout, and without dropout: a heatmap has an eighth of a face's pixels.
    """

    hidden: tuple[int, ...] = (128,)
    code: tuple[int, int] = (4, 8)

    @property
    def name(self) -> str:
        return "multi_encoder"

    def _make_network(self, channels: int, side: int) -> "Autoencoder":
        from core.detectors.networks.autoencoders import MultiEncoder

        return MultiEncoder(channels, side, self.hidden, code=self.code)
