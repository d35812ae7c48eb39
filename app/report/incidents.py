"""The incidents of a report: causes, how sure, evidence, what people said."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from app import cases
from app.cases import Found
from app.charts.statements import count
from app.report.negotiation import Part
from app.report.tabled import NOTHING, TabledSection
from twin.clock import Clock

Inquiries = Mapping[str, Sequence[Found]]
_MOST: Final = 20
_NOTES: Final = {
    "sure": "How sure: of the newest investigation, at the last moment that it looked at; uncalibrated where fewer than 30 answers are "
    "known. Evidence: statements for and against that the rows they cite bear out.",
    "cut": "The worst and the newest first; {} more are on the Incidents page.",
}


def section(sides: Inquiries, clock: Clock) -> TabledSection | None:
    """Return the section on incidents, today's beside the candidate's; None where nothing was noticed in the last of the runs."""
    found = list(sides.values())[-1] if sides else ()
    if not found:
        return None
    parts = [_causes(found, clock)]
    if len(sides) > 1:
        parts.append(_counts(sides))
    return TabledSection("Incidents", _title(sides), _why(found), tuple(parts))


def _title(sides: Inquiries) -> str:
    *before, now = sides.values()
    words = f"{count(len(now), 'incident')} {'was' if len(now) == 1 else 'were'} opened"
    return f"{words}, {len(before[0])} under today’s policy" if before else words


def _why(found: Sequence[Found]) -> str:
    looked = [each for each in found if each.investigated is not None and each.investigated.moments]
    status = Counter(each.investigated.moments[-1].investigation.status for each in looked if each.investigated is not None)
    told = ", ".join(f"{status[name]} {name}" for name in ("confirmed", "likely", "inconclusive") if status[name])
    answered = Counter(cases.standing(each.said)[1].partition(":")[0] for each in found if each.said is not None)
    said = ", ".join(f"{many} {words}" for words, many in sorted(answered.items()))
    first = f"{count(len(looked), 'incident').capitalize()} looked into: {told}" if looked else "No incident was looked into"
    return f"{first}. Of people’s answers: {said}." if said else f"{first}. Nobody has said whether a cause is right."


def _causes(found: Sequence[Found], clock: Clock) -> Part:
    """Return a row an incident: when, what, what caused it, how sure one may be, and on how much evidence."""
    worst = sorted(found, key=lambda each: (("critical", "major", "minor").index(each.incident.severity), -each.incident.detected_s))
    rows = tuple(_row(each, clock) for each in worst[:_MOST])
    heads = ("Opened", "Incident", "Severity", "Likeliest cause", "People say", "Sure", "For", "Against")
    cut = f" {_NOTES['cut'].format(len(found) - _MOST)}" if len(found) > _MOST else ""
    return Part("What broke, and why", heads, rows, 5, f"{_NOTES['sure']}{cut}")


def _row(each: Found, clock: Clock) -> tuple[str, ...]:
    incident = each.incident
    head = (f"{clock.at(incident.detected_s):%a %H:%M}", incident.title, incident.severity)
    said = cases.standing(each.said)[1]
    if each.investigated is None or not each.investigated.moments:
        return (*head, "not looked into", said, NOTHING, NOTHING, NOTHING)
    moment = each.investigated.moments[-1]
    if not moment.investigation.hypotheses:
        return (*head, "inconclusive", said, NOTHING, NOTHING, NOTHING)
    first = moment.investigation.hypotheses[0]
    sides = Counter(one.supports for one in first.statements)
    known = bool(moment.confidence) and moment.confidence[0].calibrated
    share = f"{cases.percent(cases.sure(moment)[cases.key_of(first)])}{'' if known else ' (uncalibrated)'}"
    return (*head, f"{cases.named(first)} ({moment.investigation.status})", said, share, str(sides[True]), str(sides[False]))


def _counts(sides: Inquiries) -> Part:
    """Return a row a severity: how many incidents, today's beside the candidate's."""
    counted = {role: Counter(each.incident.severity for each in found) for role, found in sides.items()}
    rows = tuple((name.capitalize(), *(str(counts[name]) for counts in counted.values())) for name in ("critical", "major", "minor"))
    return Part("How many", ("Severity", *(role.capitalize() for role in sides)), rows, 1, "Opened by alerts on the same bounds.")
