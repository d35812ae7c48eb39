"""Scores a reader on golden utterances: fields, whole, questions, dangers."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from policies.intent.interpret.reader import Reader, Site
from policies.intent.interpret.words import published_levers
from policies.intent.model import Intent
from twin.fleet_file import named

FIELDS: Final = (
    "kind",
    "objective",
    "metrics",
    "ops",
    "values",
    "relative",
    "strength",
    "scope",
    "window",
    "settings",
    "questions",
    "blocked",
)


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares from 0 to 1 over one golden file. Dangerous are readings that would be acted on and are wrong where it matters."""

    utterances: int
    fields: Mapping[str, float]
    expectations_share: float
    whole_share: float
    abstention_precision: float
    abstention_recall: float
    dangerous_share: float
    dangerous: int
    ms_mean: float
    ms_worst: float


def example_site() -> Site:
    """Return the site that the golden utterances speak of: the example of the vocabulary."""
    fleet = named("example")
    limits = {f"{row}/plant.row_power_peak_w": float(watts) for row, watts in zip(fleet.row_ids, fleet.row_power_budgets_w, strict=True)}
    limits["/plant.site_power_peak_w"] = float(fleet.site_power_budget_w)
    entities = {
        **{kind: fleet.ids(kind) for kind in ("row", "rack", "server", "host")},
        "endpoint": ("chat-70b", "chat-8b", "code-70b", "vision-11b"),
        "workload": ("web-frontend", "telemetry-batch", "ml-training", "dev-test", "search", "databases"),
        "function": ("resize-image", "send-mail"),
        "workflow": ("video-understanding", "report"),
    }
    return Site(entities, published_levers(), limits, image_endpoints=("vision-11b",))


def score(reader: Reader, path: Path, site: Site | None = None) -> Scores:
    """Hold a reader against a golden file. Only totals come out: no utterance is ever shown."""
    place = example_site() if site is None else site
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    right: dict[str, int] = dict.fromkeys(FIELDS, 0)
    wishes = whole = dangers = asked = due = both = 0
    times: list[float] = []
    for row in rows:
        gold = Intent.model_validate(row["intent"])
        began = time.perf_counter()
        reading = reader.read(row["text"], place)
        times.append((time.perf_counter() - began) * 1e3)
        verdict = compare(gold, bool(row["blocked"]), reading.intent, reading.blocked)
        for name in FIELDS:
            right[name] += verdict[name]
        wishes += _wishes(gold) == _wishes(reading.intent)
        whole += all(verdict.values())
        asks, should = bool(reading.intent.questions), bool(gold.questions)
        asked, due, both = asked + asks, due + should, both + (asks and should)
        dangers += dangerous(gold, reading.intent, reading.blocked)
    count = len(rows)
    return Scores(
        count, {name: right[name] / count for name in FIELDS}, wishes / count, whole / count, both / max(asked, 1), both / max(due, 1),
        dangers / count, dangers, sum(times) / count, max(times),
    )  # fmt: skip


def _wishes(intent: Intent) -> list[tuple[Any, ...]]:
    return sorted((_key(intent, wish) for wish in intent.expectations), key=repr)


def _key(intent: Intent, wish: Any) -> tuple[Any, ...]:
    window = intent.window_of(wish)
    scope = tuple(sorted((place.kind, place.id) for place in intent.scope_of(wish)))
    return (wish.metric, wish.op, _rounded(wish.value), wish.relative, wish.strength, scope, None if window is None else window.words())


def _rounded(value: float) -> float:
    """Round to nine significant digits: 1/3 written either way is the same."""
    return 0.0 if value == 0 else round(value, 8 - math.floor(math.log10(abs(value))))


def _places(intent: Intent) -> list[tuple[str, str]]:
    """Return every place that an intent is about, wherever it is written down."""
    named = [*intent.scope, *(spec for wish in intent.expectations for spec in wish.scope or ())]
    return sorted({(spec.kind, spec.id) for spec in named})


def compare(gold: Intent, blocked: bool, got: Intent, got_blocked: bool) -> dict[str, bool]:
    """Return field by field whether a reading is right; places and times are compared as they take effect."""

    def of(intent: Intent, *names: str) -> list[Any]:
        return sorted(
            (tuple(_rounded(v) if isinstance(v := getattr(wish, name), float) else v for name in names) for wish in intent.expectations),
            key=repr,
        )

    def windows(intent: Intent) -> list[str]:
        found = [(wish.metric, intent.window_of(wish)) for wish in intent.expectations] or [("", intent.window)]
        return sorted(f"{metric} {'' if window is None else window.words()}" for metric, window in found)

    def scopes(intent: Intent) -> list[str]:
        return sorted(f"{wish.metric} {sorted(intent.scope_of(wish), key=repr)}" for wish in intent.expectations)

    return {
        "kind": gold.kind == got.kind,
        "objective": gold.objective == got.objective,
        "metrics": of(gold, "metric") == of(got, "metric"),
        "ops": of(gold, "metric", "op") == of(got, "metric", "op"),
        "values": of(gold, "metric", "value") == of(got, "metric", "value"),
        "relative": of(gold, "metric", "relative") == of(got, "metric", "relative"),
        "strength": of(gold, "metric", "strength") == of(got, "metric", "strength"),
        "scope": scopes(gold) == scopes(got) and _places(gold) == _places(got),
        "window": windows(gold) == windows(got),
        "settings": {k: v["system"] for k, v in gold.settings.items()} == {k: v["system"] for k, v in got.settings.items()},
        "questions": sorted({item.about for item in gold.questions}) == sorted({item.about for item in got.questions}),
        "blocked": blocked == got_blocked,
    }


def dangerous(gold: Intent, got: Intent, got_blocked: bool) -> bool:
    """Return whether a reading is wrong where it matters, with nothing asked: metric, side, size, or a wider place or time."""
    if got.questions or got_blocked:
        return False
    wanted = {(wish.metric, wish.op, _rounded(wish.value), wish.relative): wish for wish in gold.expectations}
    for wish in got.expectations:
        mine = wanted.get((wish.metric, wish.op, _rounded(wish.value), wish.relative))
        if mine is None:
            return True
        gold_scope, got_scope = set(gold.scope_of(mine)), set(got.scope_of(wish))
        if gold_scope and (not got_scope or not got_scope <= gold_scope):
            return True
        if gold.window_of(mine) is not None and got.window_of(wish) is None:
            return True
    if got.objective is not None and got.objective != gold.objective:
        return True
    return any(gold.settings.get(lever, {}).get("system") != choice["system"] for lever, choice in got.settings.items())
