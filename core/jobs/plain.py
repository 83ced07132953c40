"""Frozen dataclasses as JSON and back, checked by their type hints: what a job is asked for, as it goes to a child process."""

import json
import types
from dataclasses import MISSING, fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from core.errors import InputError

T = TypeVar("T")


def dump(value: Any) -> str:
    """A dataclass as one JSON object; dates and paths become text. Raises TypeError for what JSON cannot hold."""
    return json.dumps({field.name: getattr(value, field.name) for field in fields(value)}, default=_plain, allow_nan=False)


def load(cls: type[T], text: str) -> T:
    """The dataclass that `dump` wrote. Raises InputError for text that is no object, and for wrong, missing or unknown fields."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"A {cls.__name__} is one JSON object; this text is none: {error}. Start the job again.") from error
    made: T = _read(cls, found, cls.__name__)
    return made


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, date | Path):
        return str(value)
    raise TypeError(f"JSON holds no {type(value).__name__}")


def _read(hint: Any, value: Any, where: str) -> Any:
    """The value as its type hint wants it. Raises InputError that names the place."""
    if hint is Any:
        return value
    if is_dataclass(hint) and isinstance(hint, type):
        return _read_fields(hint, value, where)
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _read_union(parts, value, where)
    if origin is Literal:
        return value if value in parts else _refuse(where, f"one of {', '.join(map(repr, parts))}", value)
    if origin in (list, tuple):
        items = [_read(parts[0], item, f"{where}[{k}]") for k, item in enumerate(_of(list, value, where, "a list"))]
        return items if origin is list else tuple(items)
    if origin is dict:
        return {key: _read(parts[1], item, f"{where}[{key!r}]") for key, item in _of(dict, value, where, "an object").items()}
    return _read_one(hint, value, where)


def _read_fields(cls: type[Any], value: Any, where: str) -> Any:
    given, hints = _of(dict, value, where, "an object"), get_type_hints(cls)
    known = {field.name: field for field in fields(cls)}
    if unknown := sorted(set(given) - set(known)):
        raise InputError(f"{where} has the fields {', '.join(known)}; {', '.join(unknown)} is not one of them. Check the spelling.")
    needed = {name for name, field in known.items() if field.default is MISSING and field.default_factory is MISSING}
    if missing := sorted(needed - set(given)):
        raise InputError(f"{where} needs the fields {', '.join(sorted(needed))}; {', '.join(missing)} is missing. Add it.")
    return cls(**{name: _read(hints[name], item, f"{where}.{name}") for name, item in given.items()})


def _read_union(parts: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in parts:
        return None
    others = [part for part in parts if part is not type(None)]
    for part in others[:-1]:
        try:
            return _read(part, value, where)
        except InputError:
            continue
    return _read(others[-1], value, where)


def _read_one(hint: Any, value: Any, where: str) -> Any:
    if hint in (date, Path):
        try:
            return (date.fromisoformat if hint is date else Path)(_of(str, value, where, "text"))
        except ValueError as error:
            raise InputError(f"{where} must be a day such as 2026-11-30; it is {value!r}. Write the day so.") from error
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        _refuse(where, {int: "a whole number", float: "a number", str: "text", bool: "true or false"}.get(hint, str(hint)), value)
    return value


def _of(cls: type[T], value: Any, where: str, words: str) -> T:
    return value if isinstance(value, cls) else _refuse(where, words, value)


def _refuse(where: str, words: str, value: Any) -> Any:
    raise InputError(f"{where} must be {words}; it is {value!r}. Give another value.")
