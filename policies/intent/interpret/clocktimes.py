"""Clock times in words: half past eight, 6 in the evening, 2 to 5 pm."""

import re

from policies.intent.model import WindowSpec


def single(match: re.Match[str]) -> bool:
    """``up to 24`` and ``past 300`` are bounds, not times, unless the clock shows."""
    bare = re.fullmatch(r"\d+", match[2]) is not None and match[3] is None
    if not bare:
        return True
    if match[1] in {"up to", "past", "beyond", "by", "from"} or len(match[2]) > 2 or int(match[2]) > 24:
        return False
    return (
        re.match(
            r"\s*(?:$|[,;.:)]|(?:and|on|the|keep|hold|cap|use|we|i|only|row|rack|gpu|no|run|cut|at|in)\b)", match.string[match.end() :]
        )
        is not None
    )


def clocklike(word: str | None, one: str, part: str | None, joint: str, two: str, part_two: str | None) -> bool:
    """Return whether two texts are clock times and not two numbers."""
    shown = [re.fullmatch(r"\d{1,2}", t) is None and re.fullmatch(r"\d{1,2}\.\d{2}", t) is None for t in (one, two)]
    if joint == "and" and word != "between":
        return False
    if any(shown) or part or part_two:
        return True
    fits = all(re.fullmatch(r"\d{1,2}", t) and int(t) <= 24 for t in (one, two))
    return fits and word in {"from", "between", "during"}


def pair(one: str, part: str | None, two: str, part_two: str | None) -> WindowSpec | None:
    """Return the window from one clock time to another, None where that is open."""
    begin, end = hour_of(one, part), hour_of(two, part_two)
    if begin is None or end is None:
        return None
    bare = [re.fullmatch(r"\d{1,2}", t) is not None for t in (one, two)]
    late = [re.search(r"p\.?m", t) is not None or t in {"noon", "midday"} for t in (one, two)]
    if (bare[0] and late[1] and two not in {"noon", "midday"} and begin < 12 and begin + 12 < end) or (
        bare[0] and re.search(r"a\.?m", two) and begin < 12 and begin >= end and one != two
    ):
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
    return WindowSpec(from_=clock_text(begin), to=clock_text(end) if end > 0 else "24:00")


def hour_of(text: str, part: str | None) -> float | None:
    """Return the hour of a clock time, None where it is none."""
    if text in {"noon", "midday"}:
        return 12.0
    if text in {"midnight", "mid-night"}:
        return 24.0
    past = re.fullmatch(r"(half past|(?:0?\.25|quarter)(?:frac)? (?:past|to)) (\d{1,2})", text)
    if past:
        shift = 0.5 if past[1].startswith("half") else (0.25 if past[1].endswith("past") else -0.25)
        hour = int(past[2]) + shift
    else:
        found = (
            re.match(r"(\d{1,2})[:.h](\d{2})", text)
            or re.match(r"(\d{1,2}?)(\d{2})(?= ?h|$)(?<=\d{3})", text)
            or re.match(r"(\d{1,2})()", text)
        )
        if found is None:
            return None
        hour = int(found[1]) + (int(found[2]) / 60 if found[2] else 0.0)
        if found[2] and int(found[2]) > 59:
            return None
    suffix = re.search(r"([ap])\.?m", text)
    if suffix:
        if hour >= 13 or (hour < 1 and suffix[1] == "p"):
            return None if suffix[1] == "a" else hour
        hour = hour % 12 + (12 if suffix[1] == "p" else 0)
    elif (part in {"afternoon", "evening"} and hour < 12) or (part == "night" and 6 <= hour < 12):
        hour += 12
    return hour if 0 <= hour <= 24 else None


def clock_text(hour: float) -> str:
    """Return an hour as HH:MM."""
    minutes = round(hour * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
