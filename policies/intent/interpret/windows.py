"""Times in a sentence: clock hours, named parts of the day, days of the week."""

import re
from typing import Final, Literal

from policies.intent.interpret.canon import Board
from policies.intent.model import Day, WindowSpec
from twin.clock import DAYS

Suffix = Literal["am", "pm", ""]
_NAMED: Final = {
    "morning": ("06:00", "12:00"), "afternoon": ("12:00", "18:00"), "evening": ("18:00", "22:00"), "night": ("22:00", "06:00"),
    "overnight": ("22:00", "06:00"), "tonight": ("22:00", "06:00"), "tonite": ("22:00", "06:00"), "nightly": ("22:00", "06:00"), "nighttime": ("22:00", "06:00"),
    "night-time": ("22:00", "06:00"), "night time": ("22:00", "06:00"),
}  # fmt: skip
_WORKDAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri")
_T: Final = (
    r"(?:noon|midday|midnight|mid-night|half past \d{1,2}|(?:0?\.25|quarter)(?:frac)? (?:past|to) \d{1,2}|\d{1,2}(?:[:.h]\d{2})(?: ?h(?:rs?|ours?)?)?(?: ?[ap]\.?m\b\.?)?|\d{3,4} ?(?:h(?:rs?|ours?)?)\b|(?:0\d|1\d|2[0-4])[0-5]\d(?!\w)|"
    r"\d{1,2}(?: ?[ap]\.?m\b\.?| ?o'?clock| ?h(?:rs?|ours)?\b)?)"
)
_PART: Final = r"(?: (?:in the|at|this) (morning|afternoon|evening|night))?"
_UNIT_NEXT: Final = r"(?! ?(?:%|percent|°|degrees?|deg\b|celsius|c\b|f\b|k\b|kw|mw|w\b|ms\b|s\b|sec|min|usd|dollars|cents|gb|tb|ns|us\b|kg|tonnes|l\b|litres|per\b|wh|kwh|mwh|a day|times|x\b|frac|outof))(?![\w.]*\d)"
_COUNTED: Final = re.compile(r" ?(?:gpus?|cards|hosts|servers|racks|rows|events|evictions|jobs|days|requests|invocations|tokens)\b")
_FROM_TO: Final = re.compile(rf"(?<![\w.])(from|between|during|,|\(|^)?\s*\b({_T}){_PART}\s*(-|to|till|til|until|through|thru|and)\s*({_T}){_PART}{_UNIT_NEXT}")
_AFTER: Final = re.compile(rf"(?<!\w)(after|from|past|since|starting(?: at| from)?|beginning at|beyond)\s+({_T}){_PART}(?: on(?:wards?)?)?{_UNIT_NEXT}")
_BEFORE: Final = re.compile(rf"(?<!\w)(until|till|til|before|up to|up until|by)\s+({_T}){_PART}{_UNIT_NEXT}")
_AT: Final = re.compile(rf"(?<!\w)at (\d{{1,2}}(?:[:.]\d{{2}})? ?[ap]\.?m\b\.?|\d{{1,2}}:\d{{2}}|noon|midnight|\d{{1,2}} o'?clock)")
_DAY: Final = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:days?)?s?"
_DAY_WORD: Final = re.compile(rf"(?<![\w\-])({_DAY})(?:\s*(-|to|through|thru|till|until)\s*({_DAY}))?(?![\w])('s)?")
_WEEKDAYS: Final = re.compile(r"(?<!\w)(?:weekdays?|working days|work ?days?|business days|week days|weeknights?|week nights?)(?!\w)")
_WEEKEND: Final = re.compile(r"(?<!\w)(?:week ?-?ends?)(?!\w)")
_BUSINESS: Final = re.compile(r"(?<!\w)(?:business|working|office|work) ?(?:hours|time)(?!\w)")
_NAME: Final = re.compile(r"(?<!\w)(?:(?:in|during|through|at|over|for|on|every|each|this|throughout|by|of|all|tomorrow|until|till|before|after|from) (?:the )?|the )*(mornings?|afternoons?|evenings?|nights?|overnight|tonight|tonite|nightly|night ?-?times?)(?!\w)")
_ALWAYS: Final = re.compile(
    r"(?<!\w)(?:as always|always|from (?:now|today|here|this point) (?:on(?:wards?)?|forward)|at all (?:times|hours)|24 ?/ ?7|24x7|(?:a)?round the clock|day and night|night and day|all day(?: long)?|all the time|any ?time|every (?:single )?day|every other day|each day|every hour|today|permanently|"
    r"continuously|throughout|every (?:minute|second)|(?:all|any|every) hours? of the day|starting (?:now|today)|right now|as of (?:now|today)|effective immediately|immediately|for good|7 days a week|now|currently|whole day)(?!\w)"
)
_UNKNOWN: Final = re.compile(
    r"(?<!\w)(?:(?:(?:at|during|in|outside|off|over|through|for)(?: the| our)? )?(?:off-?peak|on-?peak|peak|rush|busy|busiest|quiet|quietest|hot|hottest|happy|small|wee|early|core|daylight|day|trading|opening|market|lunch|prime)[ \-](?:hours?|times?|periods?|part of the day|hours? of the day|shift)|"
    r"(?:(?:at|during|in|over) )(?:the )?(?:peak|rush|lunch(?:time)?|lunch ?break|day ?time|the day|daylight|dawn|dusk|sunset|sunrise|heat ?wave|hottest part of the day|heat of the day|maintenance window|nightshift|day shift|night shift|shift change|peak season|working week)(?! (?:power|draw|load|demand))|"
    r"lunch ?times?|day ?time|(?:when(?:ever)?|while|if) (?:it is|it's|it gets|the sun|outside|demand|load|traffic|prices?|the grid|power is|electricity is|nobody|people|everyone|we are|things)\b[^,;.]*|outside (?:of )?(?=business|working|office)|"
    r"tomorrow|(?:early |late |later )?next (?:week|month|year|quarter|summer|winter|spring|mon|tues|wednes|thurs|fri|satur|sun)\w*|this (?:week|month|year|quarter|summer|winter|season)|(?:in|during|for|until|by|from|through|over) (?:the )?(?:summer|winter|spring|autumn|fall|holidays|january|february|march|april|may(?= |$)|june|july|august|september|october|november|december)(?: \d+)?(?!\w)|"
    r"(?:for|in|over|within) the next (?:\d+ )?(?:few |couple of )?(?:hours?|minutes?|days?|weeks?|months?)|for (?:an|the|\d+) (?:hours?|days?|weeks?|minutes?)(?! or)|soon|later(?: today| on)?|sometimes|once in a while|by (?:the )?end of (?:the )?(?:day|week|month|year|quarter)|christmas|easter|ramadan|black friday|diwali|eid|thanksgiving|new year\S*|"
    r"at (?:breakfast|dinner|supper|lunch)(?: ?time)?)(?!\w)"
)
_PAST_VERB: Final = re.compile(
    r"\b(?:came|were|had|agreed|told|said|visited|met|kicked|happened|ran|swapped|complained|asked|saw|decided|moved|was|went|broke|failed|called|raised|mentioned|announced|promised|started|talked|spoke|held|did|got|lost|tripped|arrived|reported|noticed|signed|emailed|wrote|\w{3,}ed)(?: \w+){0,4} (?:on |in |at |this |during |over |around )*(?:the )?$"
)
_PAST_TIME: Final = re.compile(r"(?<!\w)(?:yesterday(?:'s)?(?: (?:morning|afternoon|evening|night))?|last (?:night|week|month|year|quarter|summer|winter|mon|tues|wednes|thurs|fri|satur|sun|weekend|evening)\w*(?:'s)?|(?:\d+|a few|several|two) (?:days|weeks|months|years|hours) ago|the other day|earlier(?: today| this week)?|this morning's|(?:mon|tues|wednes|thurs|fri|satur|sun)day's (?!morning|afternoon|evening|night)\w+|for (?:weeks|months|ages|days|years)|since (?:last|the|monday|tuesday|wednesday|thursday|friday|saturday|sunday|yesterday|we)\b(?: \w+)?)")
_GREETING: Final = re.compile(r"^\W*(?:good |hi |hello |hey |dear )*(?:morning|afternoon|evening|day)(?: (?:all|team|everyone|everybody|folks|guys|there|people|colleagues|crew|friends))?(?=[,!.:;\-])|^\W*good (?:morning|afternoon|evening|day)(?: (?:all|team|everyone|everybody|folks|guys|there|people))?|(?<!\w)(?:night|day|morning|evening|late|early) (?:shift|crew|team|watch|desk)(?!\w)")


def mark(board: Board) -> None:
    """Mark every time on the board: a WindowSpec, ``always``, or ``unknown`` with its words."""
    for pattern in (_GREETING, _PAST_TIME):
        for match in list(pattern.finditer(board.rest)):
            board.take("taken", match.start(), match.end())
    for match in list(_ALWAYS.finditer(board.rest)):
        if match[0] in {"today", "now", "currently"} and re.search(r"(?:than|vs\.?|versus|to|of|from|against|we (?:\w+ )?|as|is|over|above|below|on|like|what) ?$|'s$", board.rest[: match.start()]):
            continue
        if match[0] in {"today", "now", "currently"} and re.match(r"'s|(?: \w+)? (?:levels?|value|figure|baseline)", board.rest[match.end() :]):
            continue
        board.take("taken", match.start(), match.end(), "always")
    for match in list(_UNKNOWN.finditer(board.rest)):
        _put(board, match.start(), match.end(), f"Which hours or days are meant by {match[0].strip()!r}?")
    _mark_clock(board)
    _mark_names(board)


def _put(board: Board, start: int, end: int, value: object) -> None:
    if _PAST_VERB.search(board.rest[:start]) and not re.search(r"\b(?:must|should|keep|make|want|need|limit|cap)\b[^,.;]*$", board.rest[:start]):
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
        if not _clocklike(word, one, part, joint, two, part_two):
            continue
        hours = _pair(one, part or part_two, two, part_two)
        value: object = "From when to when is meant?" if hours is None else hours
        start = match.start(1) if word and word not in {",", "("} else match.start(2)
        _put(board, start, match.end(), value)
    for pattern, after in ((_AFTER, True), (_BEFORE, False)):
        for match in list(pattern.finditer(board.rest)):
            if board.rest[match.start() : match.end()] != match[0] or not _single(match):
                continue
            hour = _hour(match[2], match[3])
            if hour is None:
                continue
            if after:
                value = WindowSpec(from_=_text(hour), to="24:00") if 0 < hour < 24 else "From midnight until when?"
            else:
                value = WindowSpec(from_="00:00", to=_text(hour)) if hour > 0 else WindowSpec(from_="00:00", to="24:00")
            _put(board, match.start(), match.end(), value)
    for match in list(_AT.finditer(board.rest)):
        _put(board, match.start(), match.end(), f"From when to when, around {match[1]}?")


def _single(match: re.Match[str]) -> bool:
    """``up to 24`` and ``past 300`` are bounds, not times, unless the clock shows."""
    bare = re.fullmatch(r"\d+", match[2]) is not None and match[3] is None
    if not bare:
        return True
    if match[1] in {"up to", "past", "beyond", "by", "from"} or len(match[2]) > 2 or int(match[2]) > 24:
        return False
    return re.match(r"\s*(?:$|[,;.:)]|(?:and|on|the|keep|hold|cap|use|we|i|only|row|rack|gpu|no|run|cut|at|in)\b)", match.string[match.end() :]) is not None


def _clocklike(word: str | None, one: str, part: str | None, joint: str, two: str, part_two: str | None) -> bool:
    shown = [re.fullmatch(r"\d{1,2}", t) is None and re.fullmatch(r"\d{1,2}\.\d{2}", t) is None for t in (one, two)]
    if joint == "and" and word != "between":
        return False
    if any(shown) or part or part_two:
        return True
    fits = all(re.fullmatch(r"\d{1,2}", t) and int(t) <= 24 for t in (one, two))
    return fits and word in {"from", "between", "during"}


def _pair(one: str, part: str | None, two: str, part_two: str | None) -> WindowSpec | None:
    begin, end = _hour(one, part), _hour(two, part_two)
    if begin is None or end is None:
        return None
    bare = [re.fullmatch(r"\d{1,2}", t) is not None for t in (one, two)]
    late = [re.search(r"p\.?m", t) is not None or t in {"noon", "midday"} for t in (one, two)]
    if bare[0] and late[1] and two not in {"noon", "midday"} and begin < 12 and begin + 12 < end:
        begin += 12
    elif bare[0] and re.search(r"a\.?m", two) and begin < 12 and begin >= end and one != two:
        begin += 12
    elif bare[1] and late[0] and end <= 11 and begin < 20 and end + 12 > begin:
        end += 12
    elif bare[0] and bare[1] and part is None and end < begin <= 12:
        if (begin, end) != (9.0, 5.0) and (begin, end) != (8.0, 5.0):
            return None
        end += 12
    if two in {"midnight", "mid-night"}:
        end = 24.0
    if one in {"midnight", "mid-night"}:
        begin = 0.0
    if begin == 24.0:
        begin = 0.0
    if begin == end:
        return None
    return WindowSpec(from_=_text(begin), to=_text(end) if end > 0 else "24:00")


def _hour(text: str, part: str | None) -> float | None:
    if text in {"noon", "midday"}:
        return 12.0
    if text in {"midnight", "mid-night"}:
        return 24.0
    past = re.fullmatch(r"(half past|(?:0?\.25|quarter)(?:frac)? (?:past|to)) (\d{1,2})", text)
    if past:
        shift = 0.5 if past[1].startswith("half") else (0.25 if past[1].endswith("past") else -0.25)
        hour = int(past[2]) + shift
    else:
        found = re.match(r"(\d{1,2})[:.h](\d{2})", text) or re.match(r"(\d{1,2}?)(\d{2})(?= ?h|$)(?<=\d{3})", text) or re.match(r"(\d{1,2})()", text)
        if found is None:
            return None
        hour = int(found[1]) + (int(found[2]) / 60 if found[2] else 0.0)
        if found[2] and int(found[2]) > 59:
            return None
    suffix = re.search(r"([ap])\.?m", text)
    if suffix:
        if hour >= 13 or hour < 1 and suffix[1] == "p":
            return None if suffix[1] == "a" else hour
        hour = hour % 12 + (12 if suffix[1] == "p" else 0)
    elif part in {"afternoon", "evening"} and hour < 12 or part == "night" and 6 <= hour < 12:
        hour += 12
    return hour if 0 <= hour <= 24 else None


def _text(hour: float) -> str:
    minutes = round(hour * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _mark_names(board: Board) -> None:
    for match in list(_BUSINESS.finditer(board.rest)):
        _put(board, match.start(), match.end(), WindowSpec(from_="09:00", to="17:00", days=_WORKDAYS))
    for match in list(_WEEKDAYS.finditer(board.rest)):
        night = "night" in match[0]
        _put(board, match.start(), match.end(), WindowSpec(from_="22:00", to="06:00", days=_WORKDAYS) if night else WindowSpec(days=_WORKDAYS))
    for match in list(_WEEKEND.finditer(board.rest)):
        weekend: tuple[Day, ...] = _WORKDAYS if re.search(r"(?:except|not|outside)(?: (?:on|at|for|of))?(?: the)? $", board.rest[: match.start()]) else ("sat", "sun")
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
            _put(board, match.start(), match.end(), WindowSpec(from_=end, to="24:00") if end > begin else f"From when to when is meant by {match[0]!r}?")
        else:
            _put(board, match.start(), match.end(), WindowSpec(from_=begin, to=end))


def _is_day(text: str, match: re.Match[str]) -> bool:
    """The short forms sat, sun, mon and wed are days only where they stand as days."""
    if match[1].startswith(("tue", "wednes", "thu", "fri")) or "day" in match[1]:
        return True
    before, after = text[: match.start()], text[match.end() :]
    return bool(match[3]) or re.search(r"(?:\bon|\bevery|\band|[,/&(]|^|\bor)\s*$", before) is not None or re.match(r"\s*[,/&:)]|\s*$|\s+(?:and|\d)", after) is not None


def _days(first: str, last: str | None) -> tuple[Day, ...]:
    begin = DAYS.index(first[:3])
    if last is None:
        return (DAYS[begin],)
    end = DAYS.index(last[:3])
    count = (end - begin) % 7 + 1
    chosen = {(begin + step) % 7 for step in range(count)}
    return tuple(day for place, day in enumerate(DAYS) if place in chosen)


def join(board: Board) -> None:
    """Join times that are named in one breath: on Mondays and Thursdays, Saturdays 8:00-20:00."""
    found = board.ordered("window")
    place = 0
    while place + 1 < len(found):
        one, two = found[place], found[place + 1]
        between = board.canon.text[one.end : two.start]
        both = isinstance(one.value, WindowSpec) and isinstance(two.value, WindowSpec)
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
