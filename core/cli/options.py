"""Options of a verb in groups: a verb takes a frozen dataclass, the command line one option a field."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints


def grouped(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb as Typer takes it: every parameter that is a dataclass is replaced by its fields, in their order.

    A field is annotated as a parameter would be, `Annotated[type, typer.Option(...)]`, and has its default.
    """
    hints = get_type_hints(verb, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, Any] = {}
    for name, parameter in inspect.signature(verb).parameters.items():
        if is_dataclass(hints[name]):
            groups[name] = hints[name]
            parameters += _of_fields(hints[name])
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(verb)
    def called(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        verb(**given)

    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called


def _of_fields(group: Any) -> list[inspect.Parameter]:
    """A parameter a field of a dataclass."""
    hints = get_type_hints(group, include_extras=True)
    default = {field.name: inspect.Parameter.empty if field.default is MISSING else field.default for field in fields(group)}
    kind = inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(name, kind, default=value, annotation=hints[name]) for name, value in default.items()]
