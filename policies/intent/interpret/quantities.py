"""Numbers with their units: temperatures, times, money, shares."""

import math
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final, Literal, cast

from policies.intent.interpret.canon import Board, Mark
from policies.intent.interpret.words import rule, units

Kind = Literal[
    "temp", "power", "energy", "time", "mass", "volume", "money", "share", "part", "bytes", "rate", "count", "times", "foreign", "points"
]

_TEMPS: Final = (
    r"°? ?c(?:elsius)?(?!\w)|(?:°|degrees?|deg\.?|degs)(?: ?c(?:elsius)?(?!\w)|entigrade)|celsius|centigrade"
    r"|(?:°|degrees?|deg\.?|degs)? ?f(?:ahrenheit)?(?!\w)|fahrenheit|(?:°|degrees?|deg)? ?k(?:elvins?)(?!\w)|k(?!\w)"
    r"|°|degrees?|deg(?!\w)|degs(?!\w)|℃"
)
_FIGURE: Final = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?: \d{3})+(?![\d.,])|\d+(?:\.\d+)?(?:e[+-]?\d+)?|\.\d+)"
_CURRENCY: Final = r"(?:us ?\$|\$|usd|eur|€|£|gbp|¥|chf|cad|aud|inr|₹)"
_AFTER_K: Final = (
    r"(?=[ /]*(?:invocations?|requests?|calls?|usd|dollars?|tokens?|evictions?|l\b|litres?|liters?|kg|rps|qps|per |/|a \w|bucks|kwh|mwh"
    r"|queries|a day|an hour|$|,|\.|and\b|or\b))"
)
_TIME_WORD: Final = (
    r"milliseconds?|ms|seconds?|sec|s|minutes?|min|hours?|hr|h|days?|d|weeks?|wk|months?|years?|yr"
    r"|job|run|host|node|invocation|request|execution|report|row|rack|server|gpu"
)
_TOKENS: Final = r"(?:(?P<n>\d[\d,]*) ?)?(?P<scale>k|m|mega|kilo|thousand|million)?[ \-]?(?:output |generated )?tok(?:en)?s?"
_PER: Final = re.compile(
    r"(?:\s*/ ?|(?<![\w])(?:per |a |an |each |every |for (?:a |an |each |every )?(?=\d* ?(?:k|m|thousand|million)? ?tok)"
    r"|for (?:a |an |each |every )|in (?:a|an|each|every) )|(?<=\d)p(?=mtok))"
    rf"(?P<what>{_TOKENS}|{_TIME_WORD})(?!\w)|(?<!\w)(?P<adverb>hourly|daily|weekly|monthly|yearly|annually)(?!\w)"
)


@cache
def number() -> re.Pattern[str]:
    """Return what a number with its unit looks like; built from the lexicon's units on first use."""
    unit = "|".join(re.escape(item).replace(r"\ ", r"[ \-]") for item in sorted(units(), key=len, reverse=True))
    return re.compile(
        rf"(?<![\w.])(?P<sign>[-+−±]|minus |negative )?\s*(?P<cur>{_CURRENCY}) ?(?P<sign2>-)?"
        rf"(?P<fig>{_FIGURE}) ?(?P<mult>k|m|mn|bn)?(?![\w])"
        rf"|(?<![\w.])(?P<sign3>(?<![\d%] )[-+−](?=[\d.])|minus |negative |plus )?(?P<fig2>{_FIGURE})"
        rf"(?:(?P<frac>frac|outof)|(?P<mult2>k|m(?= ?(?:usd|dollars?|bucks)))(?: ?(?P<kunit>usd|dollars?|bucks))?{_AFTER_K}"
        rf"|\s*-?(?P<temp>{_TEMPS})|\s*-?(?P<unit>{unit})(?![\w^]))?(?!\w)"
    )


_CHANGING: Final = rule("quantities.changing")
_PER_PLACE: Final = re.compile(r"(?<!\w)(?:per|a|each|every|for each|for every) (\ue000+)")
_RATE: Final = re.compile(r"(?<!\w)(?:rps|qps|req(?:uest)?s?/s(?:ec)?|req/sec|inv/s|calls/s|invocations/s)(?!\w)")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as the text gives it: its value in the unit used inside, its kind, and how it was written.

    ``figure`` is the bare number of the text; ``signed`` a change by its sign; ``worded`` a fraction in words.
    """

    value: float
    kind: Kind
    figure: float
    signed: bool = False
    worded: bool = False
    bare_degrees: bool = False
    low: float | None = None


@dataclass(frozen=True, slots=True)
class Per:
    """What a quantity is counted per: ``day``, ``job``, ``host`` …; for tokens how many of them."""

    what: str
    tokens: float = 1.0


_SPELLED_PER: Final = {
    "d": "day", "h": "hour", "hr": "hour", "s": "second", "sec": "second", "min": "minute", "ms": "millisecond", "wk": "week", "yr": "year",
    "hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month", "yearly": "year",
    "annually": "year", "run": "job", "report": "job", "execution": "job", "node": "host",
}  # fmt: skip


def mark(board: Board) -> None:
    """Mark quantities and what they are counted per."""
    for match in list(_RATE.finditer(board.rest)):
        board.take("per", match.start(), match.end(), Per("second"))
    for match in list(_PER_PLACE.finditer(board.rest)):
        place = next((mark for mark in board.ordered("scope") if mark.start == match.start(1)), None)
        if place is not None and place.value.kinds == {"workflow"}:
            board.marks.append(Mark("per", match.start(), match.start(1), Per("job")))
    for match in list(_PER.finditer(board.rest)):
        per = _per(match)
        if per is not None:
            # Only figures are overwritten: "per job" and "a host" are also words that metrics are spoken of with.
            if per.what == "tokens":
                board.take("per", match.start(), match.end(), per)
            else:
                board.marks.append(Mark("per", match.start(), match.end(), per))
    for match in list(number().finditer(board.rest)):
        quantity = _quantity(match, board)
        if quantity is not None:
            board.take("quantity", match.start(), match.end(), quantity)
    _join_ranges(board)


def _per(match: re.Match[str]) -> Per | None:
    text = match["adverb"] or match["what"] or ""
    if "tok" in text:
        scale = match["scale"] or ""
        count = float((match["n"] or "1").replace(",", "")) * {
            "k": 1e3,
            "kilo": 1e3,
            "thousand": 1e3,
            "m": 1e6,
            "mega": 1e6,
            "million": 1e6,
        }.get(scale, 1.0)
        return Per("tokens", count)
    word = text.strip()
    word = _SPELLED_PER.get(word, word[:-1] if word.endswith("s") and word != "s" else word)
    word = _SPELLED_PER.get(word, word)
    if word in {"request", "invocation", "row", "rack", "server", "gpu"} and not match[0].strip().startswith(("per", "/")):
        return None
    if (
        word in {"second", "minute", "hour", "day", "week", "month", "year"}
        and re.search(r"\b(?:within|under|in|than|half|most|about|of|for)\s*$", match.string[: match.start()])
        and match[0].strip().startswith("a")
    ):
        return None
    return Per(word)


def _quantity(match: re.Match[str], board: Board) -> Quantity | None:
    text = (match["fig"] or match["fig2"]).replace(",", "").replace(" ", "")
    figure = float(text)
    sign_text = (match["sign"] or match["sign2"] or match["sign3"] or "").strip()
    sign = -1.0 if sign_text in {"-", "−", "minus", "negative"} else 1.0
    signed = bool(sign_text) and sign_text not in {"±", "negative"}
    if match["cur"]:
        scaled = figure * {"k": 1e3, "m": 1e6, "mn": 1e6, "bn": 1e9}.get(match["mult"] or "", 1.0)
        kind: Kind = "money" if match["cur"] in {"$", "usd", "us$", "us $"} else "foreign"
        return Quantity(sign * scaled, kind, figure, signed)
    if match["frac"]:
        return Quantity(sign * figure, "part" if match["frac"] == "frac" else "share", figure, signed, worded=match["frac"] == "frac")
    if match["temp"]:
        return _temperature(sign * figure, match["temp"], board, match)
    if match["unit"]:
        written = match["unit"] if match["unit"] in units() else re.sub(r"[ \-]+", " ", match["unit"]).strip()
        named, factor = units()[written]
        original = board.canon.text[match.end("unit") :]
        if written == "times" and re.match(r" ?(?:a|an|per|each|every|/) ?(?:day|week|hour|month)", original):
            return Quantity(sign * figure, "count", figure, signed)
        if match["unit"] in {"m", "s", "h", "b", "g", "t", "j", "l", "d", "point", "points"} and re.match(r"'", original):
            return Quantity(sign * figure, "count", figure, signed)
        return Quantity(_exact(sign * figure, factor), cast(Kind, named), figure, signed)
    scaled = sign * figure * {"k": 1e3, "m": 1e6}.get(match["mult2"] or "", 1.0)
    return Quantity(scaled, "money" if match["kunit"] else "count", figure, signed)


def _exact(figure: float, factor: float) -> float:
    """Multiply or divide so that 250 ms is 0.25 and 280 ns is 2.8e-07 to the last digit."""
    if 0 < factor < 1 and math.isclose(1 / factor, round(1 / factor)):
        return figure / round(1 / factor)
    return figure * factor


def _temperature(value: float, unit: str, board: Board, match: re.Match[str]) -> Quantity | None:
    word = unit.strip().lstrip("° ").strip()
    if re.search(r"(?:^|[^a-z])f|fahrenheit", unit):
        return Quantity(round((value - 32.0) / 1.8, 9), "temp", value)
    if word == "k":
        if re.search(r"kelvin|temp|gpu|inlet", board.canon.text) and 200 < value < 450:
            return Quantity(round(value - 273.15, 9), "temp", value)
        return Quantity(value * 1e3, "count", value)
    if "kelvin" in unit:
        return Quantity(round(value - 273.15, 9), "temp", value)
    if word == "c" and re.match(r" (?:per|a) (?:k|1000|thousand)", match.string[match.end() :]):
        return Quantity(value / 100.0, "money", value)
    return Quantity(value, "temp", value, bare_degrees=not re.search(r"c|℃", unit))


def _join_ranges(board: Board) -> None:
    """Turn ``between 18 and 26 C`` and ``18-26 C`` into one quantity with a low end."""
    found = board.ordered("quantity")
    for one, two in pairwise(found):
        if one not in board.marks:
            # The high end of the range before it.
            continue
        if _comes_from(board, one, two):
            # "from 10 to 4": the first number tells what is, not what is wanted.
            board.marks.remove(one)
            board.take("taken", one.start, one.end)
            continue
        between = board.canon.text[one.end : two.start]
        before = board.rest[: one.start]
        ranged = re.search(r"\bbetween\s*(?:about )?$", before) and re.fullmatch(r"\s*and\s*", between)
        ranged = ranged or (re.fullmatch(r"\s*(?:-|–|to)\s*", between) and (one.value.kind == "count" or one.value.kind == two.value.kind))
        if not ranged or re.search(r"\bby\s*$|\b(?:cut|reduce|lower|raise|increase|bring|drop|move|go)\b[^,;.]*\bfrom\s*$", before):
            continue
        low, high = one.value, two.value
        low_value = low.value
        if low.kind == "count" and high.kind != "count":
            scale = _scale_like(low.figure, high)
            if scale is None:
                continue
            low_value = scale
        elif low.kind != high.kind:
            continue
        board.marks.remove(one)
        board.marks.remove(two)
        start = one.start
        lead = re.search(r"\b(?:between|from)\s*$", before)
        if lead:
            start = lead.start()
        board.take("quantity", start, two.end, Quantity(high.value, high.kind, high.figure, low=low_value))


def _comes_from(board: Board, one: Mark, two: Mark) -> bool:
    before = board.rest[: one.start]
    to = re.fullmatch(r"[^,;.]{0,24}?\bto\s*(?:about |at most |at least |under |below )?", board.canon.text[one.end : two.start])
    return bool(to) and re.search(r"\bfrom\s*(?:about )?$", before) is not None and _CHANGING.search(before) is not None


def _scale_like(figure: float, other: Quantity) -> float | None:
    """Give a bare figure the unit of the other end of its range."""
    if other.kind == "temp":
        return (
            (figure - 32.0) / 1.8
            if not math.isclose(other.value, other.figure) and other.figure < 250
            else figure + (other.value - other.figure)
        )
    return None if other.figure == 0 else figure * (other.value / other.figure)
