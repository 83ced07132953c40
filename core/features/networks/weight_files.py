"""Weights of the networks that are trained here: where they lie, how they are read and written.

Shipped ones are safetensors under `weights/`, each with the command that makes it in its metadata. A store may have its own, beside it,
which win. Random weights are never used: a missing file is an error.
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InputError

if TYPE_CHECKING:
    from torch import nn

SHIPPED = Path(__file__).parents[1] / "weights"


def find_weights(name: str, own: Path | None = None) -> Path:
    """The file of network `name`: in the folder `own` where it is there, else the shipped one. Raises InputError where neither is."""
    for folder in (own, SHIPPED):
        if folder is not None and (folder / f"{name}.safetensors").exists():
            return folder / f"{name}.safetensors"
    raise InputError(f"{name} needs trained weights: {SHIPPED / name}.safetensors is missing. Run `python -m core train {name}`.")


def load_network(network: "nn.Module", path: Path) -> "nn.Module":
    """The network with the file's weights, in evaluation mode. Raises InputError where they do not fit it."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        network.load_state_dict(load_file(path))
    except (RuntimeError, OSError, SafetensorError) as error:
        raise InputError(f"Weights must fit their network: {path} does not: {str(error).splitlines()[0]} Train it again.") from error
    return network.eval()


def save_network(network: "nn.Module", path: Path, about: dict[str, Any]) -> None:
    """Writes the weights and what is known of them (command, seed, accuracy), whole or not at all."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    try:
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, part, metadata={k: str(v) for k, v in about.items()})
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_about(path: Path) -> dict[str, str]:
    """What `save_network` wrote about the weights."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        return dict(file.metadata() or {})


def digest(path: Path) -> str:
    """Short content hash: names the weights that a run used."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def weights_folder(store: Path) -> Path:
    """Where the networks that were trained on this store's own banners lie: beside it, as `<name>.weights`."""
    return store.with_suffix(".weights")
