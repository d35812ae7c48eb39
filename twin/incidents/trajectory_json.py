"""Investigations as JSON lines and back: a line a step, the finding."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from math import isfinite
from typing import Any, Final

from twin.incidents.trajectory import Hypothesis, Investigation, Statement, Step

FORMAT: Final = 1
_TUPLES: Final = ("ruled_out", "similar")


def dumps(found: Investigation) -> str:
    """Return an investigation as lines of JSON: each step, then what was found. The same investigation gives the same bytes.

    A time that is not known is written as null.
    """
    rest = {key: value for key, value in asdict(found).items() if key != "steps"}
    lines = [{"record": "step", **asdict(step)} for step in found.steps]
    return "".join(_line(line) for line in [*lines, {"record": "finding", "format": FORMAT, **rest}])


def loads(text: str) -> Investigation:
    """Read back what ``dumps`` wrote; ValueError names the line that is not of it."""
    found = list(read_all(text.splitlines()))
    if len(found) != 1:
        raise ValueError(f"trajectory: {len(found)} findings where one is expected; give the lines of one investigation")
    return found[0]


def read_all(lines: Iterable[str]) -> Iterable[Investigation]:
    """Yield each investigation of a stream of lines."""
    steps: list[Step] = []
    number = 0
    for number, line in enumerate(lines, start=1):
        try:
            given = json.loads(line)
            record = given.pop("record")
            if record == "step":
                steps.append(Step(**given))
                continue
            if record != "finding" or given.pop("format") != FORMAT:
                raise ValueError("another record or format")
            yield _finding(given, tuple(steps))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"trajectory: line {number} is no step and no finding ({error}); write it with dumps") from None
        steps = []
    if steps:
        raise ValueError(f"trajectory: line {number} is a step without a finding after it; the file was cut off")


def _finding(given: Mapping[str, Any], steps: tuple[Step, ...]) -> Investigation:
    plain = {key: value for key, value in given.items() if key != "hypotheses"}
    tuples = {key: tuple(plain[key]) for key in _TUPLES}
    return Investigation(**{**plain, **tuples, "steps": steps, "hypotheses": tuple(_hypothesis(item) for item in given["hypotheses"])})


def _hypothesis(given: Mapping[str, Any]) -> Hypothesis:
    statements = tuple(Statement(**{**item, "evidence_ids": tuple(item["evidence_ids"])}) for item in given["statements"])
    onset_s = float("nan") if given["onset_s"] is None else given["onset_s"]
    return Hypothesis(**{**given, "path": tuple(given["path"]), "onset_s": onset_s, "statements": statements})


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(_plain(record), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: what is not finite becomes null, numpy's numbers plain ones."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
