"""Number words and fractions, rewritten as figures."""

import re
from typing import Final

from policies.intent.interpret.canon import Canon
from policies.intent.interpret.words import rule

_UNITS: Final = {
    word: value
    for value, word in enumerate(
        (
            "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
            "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
        )
    )
}  # fmt: skip
_TENS: Final = {
    word: 10 * place for place, word in enumerate(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), 2)
}
_SCALES: Final = {"hundred": 100, "thousand": 1000, "grand": 1000, "million": 10**6, "billion": 10**9, "dozen": 12}
_PARTS: Final = {
    "half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "twelfth": 12, "twentieth": 20,
}  # fmt: skip
_NUMBER_WORD: Final = "|".join([*_UNITS, *_TENS, *_SCALES])
_WORDS: Final = re.compile(
    r"(?<![\w\-])(?:an? (?=hundred|thousand|million|billion|dozen|grand))?"
    rf"(?:{_NUMBER_WORD})(?:(?:[ \-]| and )(?:{_NUMBER_WORD}))*(?: point (?:{_NUMBER_WORD})(?: (?:{_NUMBER_WORD}))*)?(?!\w)"
)
_SCALED: Final = re.compile(r"(?<![\w.])(\d[\d,]*(?:\.\d+)?) ?(hundred|thousand|grand|million|billion|mln|bn|dozen)(?!\w)")
_PART_WORD: Final = "|".join(sorted((part + "s?" for part in _PARTS), key=len, reverse=True))
_FRACTION: Final = re.compile(rf"(?<![\w.])(?:(?:(an?|\d+)[ \-])({_PART_WORD})|(half))(?!\w)(?![ \-]?past)")
_AND_HALF: Final = re.compile(r"(?<![\w.])(\d+)(?:[ \-]and[ \-]a[ \-](half|quarter)| 1⁄2)(?!\w)")
_ONE_UNIT: Final = rule("numerals.one_unit")
_AND_HALF_ONE: Final = re.compile(r"(?<![\w.\-])one[ \-]and[ \-]a[ \-](half|quarter)(?!\w)")
_SLASHED: Final = re.compile(r"(?<![\w./:])([1-9])[/⁄]([2-9]|10)(?![\w/⁄.])(?! ?(?:am|pm))")
_OUT_OF: Final = rule("numerals.out_of")
# Figures that are part of a name stay words.
_NAME_WORDS: Final = {"1": "one", "2": "two", "3": "three"}
_NAMES: Final = rule("numerals.names")
# Before these units a fraction is a plain number: a quarter of an hour, half a percent.
_UNIT_AFTER: Final = rule("numerals.unit_after")
_ONE_AFTER: Final = rule("numerals.one_after")
_ONE_BEFORE: Final = rule("numerals.one_before")
_PLACE_BEFORE: Final = re.compile(r"\b(?:rows?|racks?|servers?|hosts?)\s+$")


def value_of(words: list[str]) -> float:
    """Return the number that a run of number words stands for.

    >>> value_of("one thousand two hundred".split()), value_of(["eighty", "one"])
    (1200.0, 81.0)
    """
    total, current = 0, 0
    for word in words:
        if word in _UNITS:
            current += _UNITS[word]
        elif word in _TENS:
            current += _TENS[word]
        elif _SCALES[word] == 100:
            current = max(current, 1) * 100
        else:
            total += max(current, 1) * _SCALES[word]
            current = 0
    return float(total + current)


def rewrite(canon: Canon) -> Canon:
    """Return the text with number words, scaled figures and fractions as figures; a part of a whole ends in ``frac``."""
    text = canon.sub(_AND_HALF_ONE, lambda match: "1.25" if match[1] == "quarter" else "1.5")
    text = text.sub(_WORDS, _words)
    text = text.sub(_AND_HALF, lambda match: _plain(float(match[1]) + (0.25 if match[2] == "quarter" else 0.5)))
    text = text.sub(
        _SCALED,
        lambda match: _plain(float(match[1].replace(",", "")) * _SCALES.get(match[2], {"mln": 10**6, "bn": 10**9}.get(match[2], 1))),
    )
    text = text.sub(_FRACTION, _fraction)
    text = text.sub(_UNIT_AFTER, lambda match: " ")
    text = text.sub(_SLASHED, lambda match: f"{int(match[1]) / int(match[2])!r}frac")
    text = text.sub(_OUT_OF, _out_of).sub(_ONE_UNIT, lambda match: f"{match[1]}1 ")
    return text.sub(_NAMES, lambda match: f"{match[1]} {_NAME_WORDS[match[2]]}")


def _plain(value: float) -> str:
    return str(int(value)) if value.is_integer() and value < 1e15 else repr(value)


def _words(match: re.Match[str]) -> str | None:
    text, string = match[0], match.string
    bare = re.sub(r"^an? ", "", text)
    before = string[max(0, match.start() - 16) : match.start()]
    if bare == "one":
        if _PLACE_BEFORE.search(before):
            return "1"
        if _ONE_BEFORE.search(before) or not _ONE_AFTER.match(string[match.end() :]):
            return None
        return "1"
    if bare in {"grand", "hundred", "dozen", "thousand", "million", "billion"} and bare == text:
        return None
    whole, _, decimals = bare.partition(" point ")
    words = [word for word in re.split(r"[ \-]+", whole) if word != "and"]
    if re.search(r"\band\b", whole) and not any(word in _SCALES for word in words):
        # "rows two and three" is a list, not a sum.
        return " and ".join(_plain(value_of([word for word in re.split(r"[ \-]+", part)])) for part in whole.split(" and "))
    value = value_of(words)
    if decimals:
        value += float("0." + "".join(str(int(value_of([word]))) for word in decimals.split()))
    return _plain(value)


def _fraction(match: re.Match[str]) -> str | None:
    string = match.string
    count, part = ("1", "half") if match[3] else (match[1], match[2])
    part = part if part in _PARTS else part.rstrip("s")
    if part not in _PARTS:
        part = {"halve": "half"}.get(part, part)
    if part not in _PARTS or re.search(r"\b(?:first|second|last|this|next|latter) $", string[max(0, match.start() - 8) : match.start()]):
        return None
    value = (1.0 if count in {"a", "an"} else float(count)) / _PARTS[part]
    return f"{value!r}frac"


def _out_of(match: re.Match[str]) -> str | None:
    part, whole = float(match[1]), float(match[2])
    if whole <= 0 or part > whole:
        return None
    return f"{part / whole!r}outof"
