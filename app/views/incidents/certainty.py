"""Panel of how sure one may be of each cause, and what raised it."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import polars as pl
import streamlit as st

from app import cases, parts, state
from app.charts.certainty import NARROW, Line, Told, certainty_svg
from app.views.incidents import reading
from app.views.incidents.reading import Looking
from app.views.workloads.lanes import note
from app.widgets.talk import talk
from twin.clock import Clock
from twin.incidents.trajectory import Hypothesis, Statement
from twin.store.investigations import Investigated

_MOST: Final = 4
_HINT: Final = "Triangles are statements that came in, full ones for a cause, hollow ones against it. Click a moment to look at it."
_WORST: Final = 2


def certainty(look: Looking) -> None:
    """Draw each cause's confidence at every moment that was looked at; a click looks at that moment."""
    shown, moment = look.shown, look.moment
    if shown is None or moment is None:
        return
    drawn = lines(shown)
    words = title(shown, drawn)
    with parts.panel(words, "incidents-certainty", data=lambda: table(shown), png=True):
        if not drawn:
            note("No moment named a cause that its evidence bears out: the data cannot tell. That is an answer, too.")
            return
        chosen = "" if look.blamed is None else cases.key_of(look.blamed)
        about = {"at_s": moment.as_of_s, "chosen": chosen}
        times = [each.as_of_s for each in shown.moments]
        clock, tokens = look.now.clock, state.colours()
        marks = told(shown, drawn, clock)
        talk(
            certainty_svg(drawn, marks, times, tokens, clock, words, **about), key="incidents-certainty",
            narrow=certainty_svg(drawn, marks, times, tokens, clock, words, width=NARROW, **about), on_pick=_go_to,
            turns="slim",
            hint=_HINT,
        )  # fmt: skip
        note(sure_words(look))


def _go_to(t_s: str) -> None:
    state.set_t(float(t_s))
    state.set_case(evidence=None)


def lines(shown: Investigated) -> list[Line]:
    """Return the causes that are drawn: those of the last moment, then those that once led; hues go by that order."""
    at = [(moment.as_of_s, moment.investigation.hypotheses, cases.sure(moment)) for moment in shown.moments]
    ranked = [cases.key_of(each) for each in at[-1][1]][:_MOST] if at else []
    led = [cases.key_of(found[0]) for _, found, _ in at if found]
    keys = list(dict.fromkeys([*ranked, *led]))[: _MOST + _WORST]
    words = {cases.key_of(each): cases.named(each) for _, found, _ in at for each in found}
    points = {key: tuple((t_s, shares[key]) for t_s, _, shares in at if key in shares) for key in keys}
    return [Line(key, _short(words[key]), place, points[key]) for place, key in enumerate(keys)]


def _short(words: str) -> str:
    """Return a cause with its place first, since that tells the most of them apart.

    >>> _short("bad deployment, prices")
    'prices: bad deployment'
    """
    cause, _, place = words.rpartition(", ")
    return f"{place}: {cause}" if cause else words


def told(shown: Investigated, drawn: Sequence[Line], clock: Clock) -> list[Told]:
    """Return, of each cause that is drawn and each moment, what was said for it and against it that was not said before."""
    found, known = [], set[tuple[str, str, bool]]()
    for moment in shown.moments:
        by_key = {cases.key_of(each): each for each in moment.investigation.hypotheses}
        for line in drawn:
            for supports in (True, False):
                said = [each for each in _of(by_key.get(line.key)) if each.supports is supports]
                new = [each for each in said if (line.key, each.words, supports) not in known]
                known.update((line.key, each.words, supports) for each in new)
                if new:
                    side = "for" if supports else "against"
                    cites = ", ".join(dict.fromkeys(name for each in new for name in each.evidence_ids))
                    says = f"{side} {line.words}: {reading.timed('; '.join(each.words for each in new), clock)} ({cites})"
                    found.append(Told(moment.as_of_s, line.key, supports, len(new), says))
    return found


def _of(hypothesis: Hypothesis | None) -> tuple[Statement, ...]:
    return () if hypothesis is None else hypothesis.statements


def title(shown: Investigated, drawn: Sequence[Line]) -> str:
    """Return how the confidence in the first cause went from the first moment to the last."""
    if not drawn or not drawn[0].points:
        return "Nothing that was found points at one cause"
    first, points = drawn[0], drawn[0].points
    was, now = points[0][1], points[-1][1]
    if points[-1][0] < shown.moments[-1].as_of_s:
        return f"{first.words} is not named any more"
    if len(points) == 1 or abs(was - now) < 0.005:
        return f"{first.words}: {cases.percent(now)} sure" + (" from the first moment on" if len(points) == len(shown.moments) else "")
    return f"Evidence {'raised' if now > was else 'lowered'} {first.words} from {cases.percent(was)} to {cases.percent(now)}"


def sure_words(look: Looking) -> str:
    """Return what the confidence in the first cause of the shown moment rests on."""
    moment = look.moment
    if moment is None or not moment.confidence:
        return "Nobody was asked how sure one may be: the lines are the investigator’s own score."
    said = moment.confidence[0]
    kind = "Calibrated" if said.calibrated else f"Uncalibrated, {said.labels} labels"
    return f"{kind}. {said.words[:1].upper()}{said.words[1:]}." if said.words else f"{kind}."


def table(shown: Investigated) -> pl.DataFrame:
    """Return what *Data* shows: a row a moment and cause."""
    rows = []
    for moment in shown.moments:
        shares = cases.sure(moment)
        said = dict(enumerate(moment.confidence))
        for place, each in enumerate(moment.investigation.hypotheses):
            sides = Counter(one.supports for one in each.statements)
            rows.append(
                {
                    "as_of_s": moment.as_of_s, "rank": place + 1, "cause": each.cause, "entity": each.entity_id,
                    "confidence": shares[cases.key_of(each)], "score": each.score, "calibrated": place in said and said[place].calibrated,
                    "labels": said[place].labels if place in said else 0, "supporting": sides[True], "contradicting": sides[False],
                    "status": moment.investigation.status,
                }
            )  # fmt: skip
    return pl.DataFrame(rows, infer_schema_length=None)


def status(look: Looking) -> None:
    """Say in a word and a mark how far the shown moment got."""
    if look.moment is None:
        return
    found = look.moment.investigation
    mark = {"confirmed": "met", "likely": "at risk"}.get(found.status, "waiting")
    at = look.now.clock.at(look.moment.as_of_s)
    st.html(f'<p class="iw-note">{parts.mark(mark, found.status)} by what was known at {at:%H:%M:%S}</p>')
