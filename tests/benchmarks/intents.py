"""What the embedded reader reaches on the golden utterances; only totals are printed."""

from typing import Any

from policies.intent.interpret.embedded import EmbeddedReader
from policies.intent.score import Scores, score
from twin.sources import data_dir

TARGETS = {"whole": 0.85, "numbers": 0.97, "windows": 0.97, "scopes": 0.97, "abstention recall": 0.95}


def measure() -> list[dict[str, Any]]:
    """Return one row per figure, for the open golden file and the one kept aside."""
    reader = EmbeddedReader()
    rows: list[dict[str, Any]] = []
    for part in ("open", "held_out"):
        found = score(reader, data_dir() / "intents" / f"golden_{part}.jsonl")
        rows += _rows(part.replace("_", "-"), found)
    return rows


def _rows(part: str, found: Scores) -> list[dict[str, Any]]:
    shares = {
        "whole": found.whole_share,
        "expectations": found.expectations_share,
        "numbers": found.fields["values"],
        "windows": found.fields["window"],
        "scopes": found.fields["scope"],
        "metrics": found.fields["metrics"],
        "polarity": found.fields["ops"],
        "settings": found.fields["settings"],
        "questions": found.fields["questions"],
        "refusals": found.fields["blocked"],
        "abstention precision": found.abstention_precision,
        "abstention recall": found.abstention_recall,
    }
    rows = [_row(f"{name}, {part}", value, "share", TARGETS.get(name), "higher") for name, value in shares.items()]
    rows.append(_row(f"dangerous readings, {part}", float(found.dangerous), "utterances", 0.0, "lower"))
    rows.append(_row(f"one request, mean, {part}", found.ms_mean, "ms wall", 20.0, "lower"))
    return rows


def _row(name: str, value: float, unit: str, target: float | None, better: str) -> dict[str, Any]:
    meets = target is None or (value >= target if better == "higher" else value <= target)
    return {"domain": "intents", "name": name, "value": round(value, 4), "unit": unit, "target": target, "better": better, "meets": meets}


if __name__ == "__main__":
    for row in measure():
        print(row)  # noqa: T201 - a benchmark tells its figures
