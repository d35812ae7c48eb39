"""How operators speak of the vocabulary: the lexicon, compiled once."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from twin.sources import data_dir

_STOP: Final = r"(?!(?:and|but|without|while|or|with|whilst)\b)"
_GAP: Final = rf"(?:[ \-]+{_STOP}[^\s,;.:!?()]+){{0,3}}?[ \-]+"


def phrase(text: str) -> str:
    """Return the regular expression of a lexicon phrase."""
    return text.replace(" ?", "\x01").replace(" .. ", "\x00").replace(" ", r"[ \-]+").replace("\x00", _GAP).replace("\x01", r"[ \-]?")


def any_of(phrases: "list[str] | tuple[str, ...]") -> re.Pattern[str]:
    """Return one pattern for several phrases, whole words only."""
    return re.compile(r"(?<![\w])(?:" + "|".join(phrase(item) for item in phrases) + r")(?![\w])")


@dataclass(frozen=True, slots=True)
class Concept:
    """Something that operators speak of, and the metrics that it may mean."""

    name: str
    metrics: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]
    family: str = ""
    percentile: str = ""
    absolute: bool = False


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The lexicon, compiled."""

    concepts: tuple[Concept, ...]
    systems: Mapping[str, tuple[re.Pattern[str], tuple[str, ...]]]
    strong_levers: Mapping[str, re.Pattern[str]]
    weak_levers: Mapping[str, re.Pattern[str]]
    vocabulary: frozenset[str]
    common: frozenset[str]

    def concept(self, name: str) -> Concept:
        """Return a concept by its name."""
        return next(item for item in self.concepts if item.name == name)


@cache
def published_levers() -> Mapping[str, tuple[str, ...]]:
    """Return each lever of the vocabulary with the systems and baselines that can hold it."""
    systems: dict[str, Any] = _raw()["systems"]
    return {lever: tuple(name for name, entry in systems.items() if lever in entry["levers"]) for lever in _raw()["levers"]}


@cache
def published_systems() -> tuple[str, ...]:
    """Return every system and baseline that the vocabulary names."""
    return tuple(_raw()["systems"])


@cache
def lexicon() -> Lexicon:
    """Return the lexicon; compiled on first use."""
    raw = _raw()
    concepts = tuple(
        Concept(
            item["name"],
            tuple(item["metrics"]),
            tuple(any_of([one]) for one in item["phrases"]),
            item.get("family", ""),
            item.get("percentile", ""),
            item.get("absolute", False),
        )
        for item in raw["concept"]
    )
    systems = {name: (any_of(entry["phrases"]), tuple(entry["levers"])) for name, entry in raw["systems"].items()}
    strong = {name: any_of(entry["strong"]) for name, entry in raw["levers"].items() if entry["strong"]}
    weak = {name: any_of(entry["weak"]) for name, entry in raw["levers"].items() if entry["weak"]}
    vocabulary = _spelled(" ".join(_phrases(raw))) | _EXTRA
    common = (data_dir() / "intents" / "common_words.txt").read_text(encoding="utf-8").split()
    return Lexicon(concepts, systems, strong, weak, vocabulary, frozenset(common))


def _spelled(phrases: str) -> frozenset[str]:
    """Return the whole words that the phrases can match: endings in brackets and optional letters are written out."""
    words = set(re.findall(r"(?<![a-z?])[a-z]{4,}(?![a-z(?\[])", phrases))
    for stem, endings in re.findall(r"([a-z]{3,})\(([a-z|]+)\)", phrases):
        words |= {stem + ending for ending in endings.split("|")} | {stem}
    for stem, last, rest in re.findall(r"([a-z]{2,})([a-z])\?([a-z]*)", phrases):
        words |= {stem + rest, stem + last + rest}
    return frozenset(word for word in words if len(word) >= 4) - _STEMS


@cache
def _raw() -> dict[str, Any]:
    return tomllib.loads((data_dir() / "intents" / "lexicon.toml").read_text(encoding="utf-8"))


def _phrases(raw: Mapping[str, Any]) -> list[str]:
    out: list[str] = []
    for item in raw["concept"]:
        out += item["phrases"]
    for entry in raw["systems"].values():
        out += entry["phrases"]
    for entry in raw["levers"].values():
        out += entry["strong"] + entry["weak"]
    return out


# Stems that no one types.
_STEMS: Final = frozenset("configur investigat oversubscri allocat balanc violat evaporat preempt saturat diagnos subscri schedul".split()) - {"preempt"}

# Words of the grammar itself that a typo may hit.
_EXTRA: Final = frozenset(
    """keep under below above least most than more less fewer lower higher reduce reduces reducing cut increase increases raise hold maximum
    minimum minimise minimize maximise maximize percent percentile median between within without exceed exceeds never always should please must
    between morning afternoon evening night tonight overnight weekend weekends weekday weekdays business hours noon midnight monday tuesday
    wednesday thursday friday saturday sunday ideally preferably possible worse better halve double triple degrees celsius fahrenheit kelvin
    kilowatts megawatts milliseconds microseconds nanoseconds seconds minutes litres liters tonnes dollars cents server servers rack racks row
    rows host hosts endpoint endpoints workload workloads function functions workflow workflows unchanged today every limit until after before
    during across drop decrease improve stay until third quarter thirty forty fifty sixty seventy eighty ninety hundred thousand million eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty seven eight gigabytes terabytes kilowatt megawatt hour minute week month routing raising rising lowering keeping cutting dropping saving
    half halves thirds quarters fourth fifth fifths sixth seventh eighth eighths ninth tenth tenths watt watts metre metres meter cubic shave rise
    rises nine four five three terabyte gigabyte megabyte gibibyte tebibyte watt litre liter tonne gallon gallons dollar cent joule joules optimise optimize prefer today's afternoons evenings mornings nights rather minimal maximal maximise""".split()
)
