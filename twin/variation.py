"""A scenario with one value changed: another question, with its own hash."""

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from twin.scenario import Scenario, read

_PART: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)((?:\[[^\]]*\])*)")


def varied(scenario: Scenario, values: Mapping[str, Any]) -> Scenario:
    """Return the scenario with other values at some places, written as its file writes them.

    A place is a dotted path; entries of a list are named by their number or their id, as in ``serving.endpoints[0].tp`` or
    ``serving.endpoints[chat].demand.rate_per_s``. Only what there is can be varied.

    Raises
    ------
    ValueError
        One line: the place that is unknown and the nearest one, or what is wrong with the value.
    """
    if not values:
        return scenario
    raw = json.loads(scenario.spec.model_dump_json())
    for path, value in values.items():
        _put(raw, path, value, scenario.name)
    return read(raw, f"scenario {scenario.name}")


def value_at(scenario: Scenario, path: str) -> Any:
    """Return the value at a place of a scenario."""
    holder, key = _place(json.loads(scenario.spec.model_dump_json()), path, scenario.name)
    return holder[key]


def _put(raw: dict[str, Any], path: str, value: Any, name: str) -> None:
    holder, key = _place(raw, path, name)
    holder[key] = value


def _place(raw: dict[str, Any], path: str, name: str) -> tuple[Any, Any]:
    """Return what holds the value at a path, and under which key or number."""
    steps = _steps(path, name)
    here: Any = raw
    for depth, step in enumerate(steps):
        so_far = _written(steps[:depth])
        key = _entry(here, step, so_far, path, name) if isinstance(here, list) else _field(here, step, so_far, path, name)
        if depth == len(steps) - 1:
            return here, key
        here = here[key]
    raise AssertionError("a path has a step")


def _steps(path: str, name: str) -> list[tuple[str, bool]]:
    """Return the parts of a path: its words, and whether each stands in brackets."""
    steps: list[tuple[str, bool]] = []
    for part in path.split("."):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"scenario {name}: {path!r} is not a place; write one such as serving.endpoints[0].demand.rate_per_s")
        steps.append((match[1], False))
        steps += [(inner, True) for inner in re.findall(r"\[([^\]]*)\]", match[2])]
    return steps


def _written(steps: list[tuple[str, bool]]) -> str:
    return "".join(f"[{word}]" if inside else f".{word}" for word, inside in steps).removeprefix(".")


def _field(here: Any, step: tuple[str, bool], so_far: str, path: str, name: str) -> str:
    word, inside = step
    if not isinstance(here, dict) or inside:
        raise ValueError(f"scenario {name}: {path!r} leads nowhere: {so_far or 'a scenario'} has no entries of that kind")
    if word in here:
        return word
    near = difflib.get_close_matches(word, here, 1, 0.5)
    begin = f"{so_far}." if so_far else ""
    remedy = f"did you mean {begin}{near[0]}?" if near else f"there are: {', '.join(sorted(here))}"
    raise ValueError(f"scenario {name}: {begin}{word} is unknown; {remedy}")


def _entry(here: list[Any], step: tuple[str, bool], so_far: str, path: str, name: str) -> int:
    word, inside = step
    if not inside:
        raise ValueError(f"scenario {name}: {path!r} leads nowhere: {so_far} is a list; name its entry, such as {so_far}[0]")
    if word.isdigit() and int(word) < len(here):
        return int(word)
    ids = [item["id"] if isinstance(item, dict) and "id" in item else str(place) for place, item in enumerate(here)]
    if word in ids:
        return ids.index(word)
    near = difflib.get_close_matches(word, ids, 1, 0.5)
    remedy = f"did you mean {so_far}[{near[0]}]?" if near else f"there are: {', '.join(ids) or 'none'}"
    raise ValueError(f"scenario {name}: {so_far}[{word}] is unknown; {remedy}")
