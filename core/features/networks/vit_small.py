"""The network behind `vit_small`. Imported only where it is trained or run: it brings torch."""

from torch import Tensor, nn
from transformers import ViTConfig, ViTModel

from core.features.networks.simclr import unit_images

N_DIMS = 128
N_LAYERS = 4
PATCH = 5
N_PATCHES = 64
FLOOR = 0.1
"""Share of clicks that may be anywhere, before the network has its say."""


class VitSmallNet(nn.Module):
    """A small vision transformer on patches of 5x5 cells: (b, 1, 40, 40) -> (b, 1600) log density of clicks."""

    def __init__(self) -> None:
        super().__init__()
        config = ViTConfig(
            image_size=40,
            patch_size=PATCH,
            num_channels=1,
            hidden_size=N_DIMS,
            num_hidden_layers=N_LAYERS,
            num_attention_heads=4,
            intermediate_size=3 * N_DIMS,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        config._attn_implementation = "eager"  # with 65 tokens, its backward pass takes a third of the fused one's time
        self.trunk = ViTModel(config, add_pooling_layer=False, use_mask_token=True)
        nn.init.normal_(self.trunk.embeddings.position_embeddings, std=0.02)
        nn.init.normal_(self.trunk.embeddings.cls_token, std=0.02)
        self.density = nn.Linear(N_DIMS, PATCH * PATCH)
        nn.init.zeros_(self.density.weight)
        nn.init.zeros_(self.density.bias)

    def tokens(self, images: Tensor, masked: Tensor | None = None) -> Tensor:
        """(b, 65, 128) of (b, 1, 40, 40): the whole first, then the patches row by row; masked (b, 64) patches are not seen."""
        out: Tensor = self.trunk(unit_images(images), bool_masked_pos=masked).last_hidden_state
        return out

    def forward(self, images: Tensor, masked: Tensor | None = None) -> Tensor:
        """(b, 1600) logarithm of where a click falls, bins in the order of the heatmap: the image's own density, corrected."""
        side = 40 // PATCH
        if masked is not None:
            hidden = masked.view(-1, 1, side, side).repeat_interleave(PATCH, 2).repeat_interleave(PATCH, 3)
            images = images.masked_fill(hidden, 0.0)
        cells = self.density(self.tokens(images, masked)[:, 1:]).float()
        cells = cells.unflatten(2, (PATCH, PATCH)).unflatten(1, (side, side))  # row and column of the patch, then within it
        own = images.float().square().flatten(1)
        own = own / own.sum(dim=1, keepdim=True).clamp_min(1e-6)
        logits = (own + FLOOR / own.shape[1]).log() + cells.transpose(2, 3).flatten(1)
        return logits.log_softmax(dim=1)
