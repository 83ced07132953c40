"""The normalised temperature-scaled cross-entropy of contrastive learning."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def nt_xent(
    first: "Tensor",
    second: "Tensor",
    others: "Tensor",
    temperature: float,
    alike: "Tensor | None" = None,
    apart: "Tensor | None" = None,
) -> "Tensor":
    """Mean over the 2 b views i of -log(exp(z_i z_j / t) / sum_k exp(z_i z_k / t)), z of length 1, j the other view of i's pair.

    **Shape** first, second (b, d), others (m, d) -> (). k runs over the 2 b - 1 other views and over `others`, which have no pair
    themselves; `alike` (b, b), True where two pairs are of a kind, leaves out those that are not to be told apart, and `apart` (b, m),
    True where another is none of a pair's business, those.
    **Source** Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations", equation 1; negatives that
    are shifted instances of the views: Tack et al. 2020, "CSI", equation 3.
    """
    import torch
    from torch.nn.functional import cross_entropy, normalize

    b = len(first)
    z = normalize(torch.cat([first, second]).float(), dim=1)
    among = z @ z.T
    same = torch.eye(b, dtype=torch.bool) if alike is None else alike.clone().fill_diagonal_(True)
    pair = torch.arange(2 * b).roll(b)
    hidden = same.repeat(2, 2)
    hidden[torch.arange(2 * b), pair] = False
    among = among.masked_fill(hidden, float("-inf"))
    beyond = z @ normalize(others.float(), dim=1).T
    if apart is not None:
        beyond = beyond.masked_fill(apart.repeat(2, 1), float("-inf"))
    logits = torch.cat([among, beyond], dim=1) / temperature
    return cross_entropy(logits, pair)
