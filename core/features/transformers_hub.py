"""Pretrained networks by name through transformers: from the cache, else from a hub, else an error that says what to do.

A checkpoint must bring every weight: transformers would fill what is missing with random numbers and only warn.
"""

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import InputError

HUB_TIMEOUT_S = 3.0


def is_cached(source: str, revision: str | None) -> bool:
    """Whether a checkpoint is a folder here, or lies in the cache of transformers at this revision with its weights."""
    if Path(source).is_dir():
        return True
    from huggingface_hub import try_to_load_from_cache

    def has(name: str) -> bool:
        return isinstance(try_to_load_from_cache(source, name, revision=revision), str)

    return has("config.json") and (has("model.safetensors") or has("pytorch_model.bin"))


@lru_cache(maxsize=8)
def hub_error(source: str, revision: str | None) -> str | None:
    """None where a hub answers for this checkpoint, else in short why it does not."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        return "HF_HUB_OFFLINE is set"
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(source, revision=revision, timeout=HUB_TIMEOUT_S)
    except Exception as error:  # whatever the HTTP library in use raises: any of it means that no hub answered
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no answer'}"
    return None


def why_not(name: str, source: str, revision: str | None) -> str | None:
    """None where the checkpoint is here or can be fetched, else the rule, what broke it, and the next step."""
    if is_cached(source, revision):
        return None
    error = hub_error(source, revision)
    if error is None:
        return None
    wanted = source + (f" at revision {revision[:12]}" if revision else "")
    return (
        f"{name} needs the checkpoint {wanted}: it is not in the cache and no hub answers ({error}). "
        "Connect once and repeat, name a mirror by HF_ENDPOINT, or set HF_HOME to a cache copied from another machine; "
        "efficientnet_lite0 runs without a hub."
    )


def load(model: Any, name: str, source: str, revision: str | None, **options: Any) -> Any:
    """`model.from_pretrained` of a checkpoint folder or a name at a revision, float32.

    Raises InputError where it cannot be had, is not of this kind, or lacks weights.
    """
    import torch

    reason = why_not(name, source, revision)
    if reason is not None:
        raise InputError(reason)
    offline = is_cached(source, revision)
    try:
        network, found = model.from_pretrained(
            source, revision=revision, local_files_only=offline, dtype=torch.float32, output_loading_info=True, **options
        )
    except (OSError, ValueError, RuntimeError) as error:
        told = str(error).strip().splitlines()[0]
        raise InputError(f"{name} reads a {model.__name__} checkpoint: {source} is none: {told} Check the name.") from error
    lacking = sorted([*found["missing_keys"], *(key for key, *_ in found.get("mismatched_keys", []))])
    if lacking:
        raise InputError(
            f"{name} needs every weight of its network: {source} lacks {len(lacking)} of them, {lacking[0]} for one. "
            "Random weights are never used: take a complete checkpoint."
        )
    return network


def describe(source: str, revision: str | None) -> str:
    """Names the weights: `repository@revision`, or a folder's name with a hash of its content."""
    folder = Path(source)
    if not folder.is_dir():
        return f"{source}@{(revision or 'main')[:12]}"
    content = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), folder / "config.json"]):
        content.update(path.name.encode() + path.read_bytes())
    return f"{folder.name} {content.hexdigest()[:12]}"
