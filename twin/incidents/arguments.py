"""Whether a tool's arguments are what it takes."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from twin.incidents.tools import Tool

_LONGEST: Final = 20_000
_MOST_ITEMS: Final = 1_000
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
}


def checked(tool: Tool, given: Any) -> dict[str, Any]:
    """Return the arguments that a tool was called with, without those that are None; whole floats serve as integers.

    ValueError, one line, names the argument that the tool does not take, lacks, or cannot use, and what it takes.
    """
    if not isinstance(given, Mapping):
        raise ValueError(f"{tool.name} takes an object of arguments, not {type(given).__name__}")
    return _object(given, tool.arguments, tool.name)


def _object(given: Mapping[str, Any], schema: Mapping[str, Any], place: str) -> dict[str, Any]:
    known: Mapping[str, Any] = schema.get("properties", {})
    takes = ", ".join(known) or "nothing"
    if unknown := sorted(str(name) for name in given if name not in known):
        raise ValueError(f"{place} takes no {unknown[0][:60]!r}; it takes {takes}")
    told = {name: value for name, value in given.items() if value is not None}
    if missing := [name for name in schema.get("required", ()) if name not in told]:
        raise ValueError(f"{place} needs {missing[0]!r}; it takes {takes}")
    return {name: _value(value, known[name], f"{place}: {name}") for name, value in told.items()}


def _value(value: Any, schema: Mapping[str, Any], place: str) -> Any:
    kind = str(schema.get("type", "string"))
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        value = int(value)
    good: bool = isinstance(value, _KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))
    if not good:
        raise ValueError(f"{place} is {str(value)[:60]!r}, not a {'text' if kind == 'string' else kind}")
    if kind == "object":
        return _object(value, schema, place)
    if kind == "array":
        if len(value) > int(schema.get("maxItems", _MOST_ITEMS)):
            raise ValueError(f"{place} has {len(value)} items; at most {schema.get('maxItems', _MOST_ITEMS)}")
        return [_value(item, schema.get("items", {}), f"{place}[{i}]") for i, item in enumerate(value)]
    if kind == "string":
        return _text(value, schema, place)
    if kind in ("number", "integer"):
        _bounded(value, schema, place)
    return float(value) if kind == "number" else value


def _text(value: str, schema: Mapping[str, Any], place: str) -> str:
    if len(value) > _LONGEST or "\0" in value:
        raise ValueError(f"{place} is longer than {_LONGEST:,} characters, or holds a null character")
    if "enum" in schema and value not in schema["enum"]:
        raise ValueError(f"{place} is {value[:60]!r}; it is one of {', '.join(schema['enum'])}")
    return value


def _bounded(value: float, schema: Mapping[str, Any], place: str) -> None:
    if not isfinite(value) or abs(value) > 1e15:
        raise ValueError(f"{place} is {value}; write a number")
    if value < schema.get("minimum", value) or value > schema.get("maximum", value):
        raise ValueError(f"{place} is {value}; it runs from {schema.get('minimum', 'anything')} to {schema.get('maximum', 'anything')}")
