"""Times in a sentence: hours, parts of the day, days of the week."""

import re
from typing import Final, Literal

from policies.intent.interpret.canon import Board
from policies.intent.interpret.clocktimes import clock_text, clocklike, hour_of, pair, single
from policies.intent.interpret.words import rule
from policies.intent.model import Day, Finding, WindowSpec
from twin.clock import DAYS

Suffix = Literal["am", "pm", ""]
_NAMED: Final = {
    "morning": ("06:00", "12:00"), "afternoon": ("12:00", "18:00"), "evening": ("18:00", "22:00"), "night": ("22:00", "06:00"),
    "overnight": ("22:00", "06:00"), "tonight": ("22:00", "06:00"), "tonite": ("22:00", "06:00"),
    "nightly": ("22:00", "06:00"), "nighttime": ("22:00", "06:00"),
    "night-time": ("22:00", "06:00"), "night time": ("22:00", "06:00"),
}  # fmt: skip
_WORKDAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri")
_COUNTED: Final = re.compile(r" ?(?:gpus?|cards|hosts|servers|racks|rows|events|evictions|jobs|days|requests|invocations|tokens)\b")
_STATE: Final = rule("windows.state")
_FROM_TO: Final = rule("windows.from_to")
_AFTER: Final = rule("windows.after")
_BEFORE: Final = rule("windows.before")
_AT: Final = re.compile(r"(?<!\w)at (\d{1,2}(?:[:.]\d{2})? ?[ap]\.?m\b\.?|\d{1,2}:\d{2}|noon|midnight|\d{1,2} o'?clock)")
_DAY_WORD: Final = rule("windows.day_word")
_WEEKDAYS: Final = re.compile(r"(?<!\w)(?:weekdays?|working days|work ?days?|business days|week days|weeknights?|week nights?)(?!\w)")
_WEEKEND: Final = re.compile(r"(?<!\w)(?:week ?-?ends?)(?!\w)")
_BUSINESS: Final = re.compile(r"(?<!\w)(?:business|working|office|work) ?(?:hours|time)(?!\w)")
_NAME: Final = rule("windows.name")
_ALWAYS: Final = rule("windows.always")
_UNKNOWN: Final = rule("windows.unknown")
_PAST_VERB: Final = rule("windows.past_verb")
_PAST_TIME: Final = rule("windows.past_time")
_TOLD: Final = re.compile(
    r"[^.;]{0,24}\b(?:we|they|somebody|someone|it|i|everybody) (?:decided|agreed|had|were|saw|learned|promised|noticed|found|was|lost)\b"
)
_GREETING: Final = rule("windows.greeting")


def states(board: Board) -> list[Finding]:
    """Take out conditions on the state of the plant ("while its air handler is down"), and tell that they are no hours."""
    found = list(_STATE.finditer(board.rest))
    for match in found:
        board.take("taken", match.start(), match.end())
    said = [match[0].strip(" ,") for match in found]
    return [Finding(severity="info", about="window", text=f"“{words}” names no hours: the bound holds at all times.") for words in said]


def mark(board: Board) -> None:
    """Mark every time on the board: a WindowSpec, ``always``, or ``unknown`` with its words."""
    for pattern in (_GREETING, _PAST_TIME):
        for match in list(pattern.finditer(board.rest)):
            board.take("taken", match.start(), match.end())
    for match in list(_ALWAYS.finditer(board.rest)):
        if match[0] in {"today", "now", "currently"} and re.search(
            r"(?:than|vs\.?|versus|to|of|from|against|we (?:\w+ )?|as|is|over|above|below|on|like|what) ?$|'s$", board.rest[: match.start()]
        ):
            continue
        if match[0] in {"today", "now", "currently"} and re.match(
            r"'s|(?: \w+)? (?:levels?|value|figure|baseline)", board.rest[match.end() :]
        ):
            continue
        board.take("taken", match.start(), match.end(), "always")
    for match in list(_UNKNOWN.finditer(board.rest)):
        _put(board, match.start(), match.end(), f"Which hours or days are meant by {match[0].strip()!r}?")
    _mark_clock(board)
    _mark_names(board)


def _put(board: Board, start: int, end: int, value: object) -> None:
    told = isinstance(value, str) and _TOLD.match(board.rest, end) is not None
    if told or (
        _PAST_VERB.search(board.rest[:start])
        and not re.search(r"\b(?:must|should|keep|make|want|need|limit|cap)\b[^,.;]*$", board.rest[:start])
    ):
        board.take("taken", start, end)
    else:
        board.take("window", start, end, value)


def _mark_clock(board: Board) -> None:
    for match in list(_FROM_TO.finditer(board.rest)):
        if board.rest[match.start() : match.end()] != match[0]:
            continue
        word, one, part, joint, two, part_two = match.groups()
        if re.fullmatch(r"\d+", one) and re.fullmatch(r"\d+", two) and _COUNTED.match(board.rest[match.end() :]):
            continue
        if not clocklike(word, one, part, joint, two, part_two):
            continue
        hours = pair(one, part or part_two, two, part_two)
        value: object = "From when to when is meant?" if hours is None else hours
        start = match.start(1) if word and word not in {",", "("} else match.start(2)
        _put(board, start, match.end(), value)
    for pattern, after in ((_AFTER, True), (_BEFORE, False)):
        for match in list(pattern.finditer(board.rest)):
            if board.rest[match.start() : match.end()] != match[0] or not single(match):
                continue
            hour = hour_of(match[2], match[3])
            if hour is None:
                continue
            if after:
                value = WindowSpec(from_=clock_text(hour), to="24:00") if 0 < hour < 24 else "From midnight until when?"
            else:
                value = WindowSpec(from_="00:00", to=clock_text(hour)) if hour > 0 else WindowSpec(from_="00:00", to="24:00")
            _put(board, match.start(), match.end(), value)
    for match in list(_AT.finditer(board.rest)):
        _put(board, match.start(), match.end(), f"From when to when, around {match[1]}?")


def _mark_names(board: Board) -> None:
    for match in list(_BUSINESS.finditer(board.rest)):
        _put(board, match.start(), match.end(), WindowSpec(from_="09:00", to="17:00", days=_WORKDAYS))
    for match in list(_WEEKDAYS.finditer(board.rest)):
        night = "night" in match[0]
        _put(
            board,
            match.start(),
            match.end(),
            WindowSpec(from_="22:00", to="06:00", days=_WORKDAYS) if night else WindowSpec(days=_WORKDAYS),
        )
    for match in list(_WEEKEND.finditer(board.rest)):
        weekend: tuple[Day, ...] = (
            _WORKDAYS
            if re.search(r"(?:except|not|outside)(?: (?:on|at|for|of))?(?: the)? $", board.rest[: match.start()])
            else ("sat", "sun")
        )
        _put(board, match.start(), match.end(), WindowSpec(days=weekend))
    for match in list(_DAY_WORD.finditer(board.rest)):
        if _is_day(board.rest, match):
            _put(board, match.start(), match.end(), WindowSpec(days=_days(match[1], match[3])))
    for match in list(_NAME.finditer(board.rest)):
        name = match[1].rstrip("s").replace("-", " ") if match[1] != "overnights" else "overnight"
        begin, end = _NAMED.get(name, _NAMED.get(match[1].rstrip("s"), ("22:00", "06:00")))
        lead = match[0].split()[0]
        if lead in {"until", "till", "before"}:
            _put(board, match.start(), match.end(), WindowSpec(from_="00:00", to=begin))
        elif lead in {"after"}:
            _put(
                board,
                match.start(),
                match.end(),
                WindowSpec(from_=end, to="24:00") if end > begin else f"From when to when is meant by {match[0]!r}?",
            )
        else:
            _put(board, match.start(), match.end(), WindowSpec(from_=begin, to=end))


def _is_day(text: str, match: re.Match[str]) -> bool:
    """The short forms sat, sun, mon and wed are days only where they stand as days."""
    if match[1].startswith(("tue", "wednes", "thu", "fri")) or "day" in match[1]:
        return True
    before, after = text[: match.start()], text[match.end() :]
    return (
        bool(match[3])
        or re.search(r"(?:\bon|\bevery|\band|[,/&(]|^|\bor)\s*$", before) is not None
        or re.match(r"\s*[,/&:)]|\s*$|\s+(?:and|\d)", after) is not None
    )


def _days(first: str, last: str | None) -> tuple[Day, ...]:
    begin = DAYS.index(first[:3])
    if last is None:
        return (DAYS[begin],)
    end = DAYS.index(last[:3])
    count = (end - begin) % 7 + 1
    chosen = {(begin + step) % 7 for step in range(count)}
    return tuple(DAYS[place] for place in sorted(chosen))


def _open_ended(one: WindowSpec, two: WindowSpec) -> bool:
    """ "After 20:00 and before 22:00" is one window."""
    return one.to == "24:00" and two.from_ == "00:00" and not one.days and not two.days and str(one.from_) < str(two.to)


def join(board: Board) -> None:
    """Join times that are named in one breath: on Mondays and Thursdays, Saturdays 8:00-20:00."""
    found = board.ordered("window")
    place = 0
    while place + 1 < len(found):
        one, two = found[place], found[place + 1]
        between = board.canon.text[one.end : two.start]
        both = isinstance(one.value, WindowSpec) and isinstance(two.value, WindowSpec)
        if both and re.fullmatch(r"\s*(?:,|and|but)?\s*", between) and _open_ended(one.value, two.value):
            board.marks.remove(one)
            board.marks.remove(two)
            found[place : place + 2] = [board.take("window", one.start, two.end, WindowSpec(from_=one.value.from_, to=two.value.to))]
            continue
        if both and re.fullmatch(r"\s*(?:,|and|&|or|/|-|on|of|at|from|during|in|between|,\s*and)*\s*(?:the |on |every |in )*", between):
            merged = merge([one.value, two.value])
            value: object = merged if merged is not None else "One window at a time: which of them is meant?"
            board.marks.remove(one)
            board.marks.remove(two)
            found[place : place + 2] = [board.take("window", one.start, two.end, value)]
        else:
            place += 1


def _adjoining(hours: list[tuple[str | None, str | None]]) -> list[tuple[str | None, str | None]]:
    """Make one window of two where one ends as the other begins: in the evening and at night."""
    if len(hours) == 2:
        for one, two in (hours, hours[::-1]):
            if one[1] == two[0] and one[0] != two[1]:
                return [(one[0], two[1])]
    return hours


def merge(values: list[WindowSpec]) -> WindowSpec | None:
    """Return one window out of the mentions of hours and days that stand together, None where they are several windows."""
    hours = _adjoining(list(dict.fromkeys((item.from_, item.to) for item in values if item.from_ is not None)))
    if len(hours) > 1:
        return None
    days: list[Day] = []
    named = [item for item in values if item.days]
    # Business hours on named days: the days that are named win.
    plain = [item for item in named if item.from_ is None] or named
    for item in plain:
        days += item.days or ()
    ordered = tuple(day for day in DAYS if day in days)
    begin, end = hours[0] if hours else (None, None)
    return WindowSpec(from_=begin, to=end, days=ordered or None)
