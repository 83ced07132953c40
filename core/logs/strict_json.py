"""JSON that every parser reads: no NaN or infinity, text keys, no half characters.

What JSON has no value for becomes null (a number that is not finite) or text (a path, a day, an id).
"""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON of any value of this project: dataclasses as objects, tuples and arrays as lists, numbers that are not finite as null."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=indent)


def plain(value: Any) -> Any:
    """The same in the types that JSON has."""
    if value is None or isinstance(value, bool):
        return value
    if hasattr(value, "tolist") and not isinstance(value, float):  # of numpy, which need not be loaded for this
        return plain(value.tolist())
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {_text(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    return _text(value)


def _text(value: Any) -> str:
    """Text without the half characters that stand for bytes of a file's name that are no UTF-8."""
    return str(value).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
