"""Whether what an investigator claims is what its evidence says."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import isfinite
from typing import Any, Final

import polars as pl

from twin.incidents.case import Incident
from twin.incidents.tools import Reply, Toolbox
from twin.incidents.toolset import COLUMNS
from twin.incidents.trajectory import Hypothesis, Investigation, Statement, Status

# A cause may seem to begin a little after its symptom: readings are means over up to five minutes and known at their end.
TOLERANCE_S: Final = 600.0
# Columns that name what a row is about.
_ABOUT: Final = ("entity", "source", "target", "incident_id", "name")
_NUMBER: Final = re.compile(r"(?<![\w.\-/:])([-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)\s?(%)?(?![\d/])", re.IGNORECASE)
_METRIC: Final = re.compile(r"\b[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\b")
_ID: Final = re.compile(r"(?<![\w-])[a-z][a-z0-9]*(?:-[a-z0-9]+)*-\d+(?:/\d+)?(?![\w-])")
_ROSE: Final = re.compile(r"\b(rose|risen|rises?|increased?|grew|grown|climbed|jumped|higher)\b", re.IGNORECASE)
_FELL: Final = re.compile(r"\b(fell|fallen|falls?|dropped|drops?|decreased?|sank|lower)\b", re.IGNORECASE)
# Words that tell of an event or of how something broke, by their stems: who uses one must cite what speaks of it, by any of the forms.
_STEMS: Final = (
    *("certificat|tls|expir", "deploy|releas|rolled|roll(?:ed|ing)? ?(?:back|out)|version", "restart|reboot", "crash|exception|panic"),
    *("leak|heap", "oom|out[ -]of[ -]memory", "throttl", "evict", "cold[_ -]start", "xid|fell off|fallen off|off the bus"),
    *("stolen|steal", "garbage|collection", "maintenance", "hack|attack|intru|malicious", "dns", "deadlock|locked up", "disk|storage"),
    *("packet|cable|unplugged", "config|setting", "tim(?:ed?|ing)[ -]?out", "refus", "flood"),
)
_TELLING: Final = tuple(re.compile(rf"(?<![a-z])(?:{stems})", re.IGNORECASE) for stems in _STEMS)


def verify(draft: Investigation, incident: Incident, tools: Toolbox, tolerance_s: float = TOLERANCE_S) -> Investigation:
    """Return an investigation without what its evidence does not say.

    Claims are its statements, each cause's place (the entity exists, each step of the path is an edge of the topology) and each
    cause's time (it began no later than the symptom, within ``tolerance_s``). They are counted before anything is dropped;
    what was dropped stands under ``details["dropped"]`` with the reason. A cause whose entity does not exist, which began too late, or for
    which nothing that is supported speaks is no longer among the hypotheses; a path that does not hold is emptied.
    """
    places = _Places(tools)
    kept: list[Hypothesis] = []
    dropped: list[dict[str, Any]] = []
    ruled_out = list(draft.ruled_out)
    claims = unsupported = 0
    for hypothesis in draft.hypotheses:
        statements = tuple(check(statement, tools) for statement in hypothesis.statements)
        bad = [(item.words, item.why) for item in statements if not item.supported]
        place, fatal = _place(hypothesis, incident, places)
        late = _late(hypothesis, incident, tolerance_s)
        bad += [(f"{hypothesis.entity_id or hypothesis.cause} is to blame", why) for why in (place, late) if why]
        claims += len(statements) + bool(hypothesis.entity_id) + isfinite(hypothesis.onset_s)
        unsupported += len(bad)
        dropped += [{"cause": hypothesis.cause, "entity": hypothesis.entity_id, "words": words, "why": why} for words, why in bad]
        sound = tuple(item for item in statements if item.supported)
        reason = (place if fatal else "") or late or ("" if any(item.supports for item in sound) else "nothing that it cites speaks for it")
        if reason:
            ruled_out.append(f"{hypothesis.cause} at {hypothesis.entity_id or 'no place'}: {reason}")
            continue
        kept.append(replace(hypothesis, statements=sound, path=() if place else hypothesis.path))
    return replace(
        draft,
        hypotheses=tuple(kept),
        status=_status(draft, kept),
        ruled_out=tuple(ruled_out),
        claims=claims,
        unsupported=unsupported,
        details={**draft.details, "dropped": dropped},
    )


def check(statement: Statement, tools: Toolbox) -> Statement:
    """Return a statement with whether what it cites says so, and why not."""
    why = _why_not(statement, tools)
    return replace(statement, supported=not why, why=why)


def _why_not(statement: Statement, tools: Toolbox) -> str:
    if not statement.evidence_ids:
        return "it cites nothing"
    replies: list[Reply] = []
    for evidence_id in statement.evidence_ids:
        reply = tools.evidence(evidence_id)
        if reply is None:
            return f"{evidence_id} was never answered"
        if not reply.ok:
            return f"{evidence_id} is an error: {reply.error_kind}"
        replies.append(reply)
    replies = [reply for reply in replies if reply.rows.height]
    if not replies:
        return "what it cites is empty, which proves nothing"
    cells = set().union(*(_named(reply) for reply in replies))
    wanted = [statement.entity_id] if statement.entity_id else []
    wanted += [*_METRIC.findall(statement.words), *_ID.findall(statement.words)]
    told = any(len(cell) > 2 and _occurs(cell, {statement.words}) for cell in cells)
    if not statement.words.strip() or not (wanted or told or _NUMBER.search(statement.words)):
        return "it says nothing that could be checked"
    for name in wanted:
        if not _occurs(name, cells):
            return f"{name} is named in nothing that it cites"
    rows = [_about(reply.rows, statement) for reply in replies]
    if foreign := _untold(statement.words, replies):
        return f"nothing that it cites speaks of {foreign!r}"
    return _miscounted(_without_names(statement, cells), replies, rows) or _turned(statement.words, rows)


def _miscounted(words: str, replies: Sequence[Reply], rows: Sequence[pl.DataFrame]) -> str:
    """Return what is wrong with the numbers in the words: in nothing that is cited, or only there because it was written into a query."""
    written = [_written(reply) for reply in replies]
    for text, percent in _NUMBER.findall(words):
        holding = [own for own, frame in zip(written, rows, strict=True) if _holds(text, bool(percent), frame)]
        if not holding:
            return f"{text}{percent} is in nothing that it cites"
        if all(_value(text) in own for own in holding):
            return f"{text}{percent} was written into the query that it cites, which measures nothing"
    return ""


def _untold(words: str, replies: Sequence[Reply]) -> str:
    """Return the first word of an event that the words tell and the evidence does not; what was only asked for is not told by it."""
    heard: list[str] | None = None
    for telling in _TELLING:
        if (said := telling.search(words)) is None:
            continue
        if heard is None:
            heard = [str(cell) for reply in replies for cell in _told(reply)]
        if not any(telling.search(cell) for cell in heard):
            return said.group(0)
    return ""


def _told(reply: Reply) -> set[str]:
    """Return every text that a reply's rows hold, and the names of their columns."""
    found = set(reply.rows.columns)
    for name, kind in reply.rows.schema.items():
        if kind == pl.String or isinstance(kind, pl.Categorical | pl.Enum):
            found |= set(reply.rows[name].cast(pl.String).drop_nulls().unique().to_list())
    return found


def _written(reply: Reply) -> set[float]:
    """Return the numbers that whoever asked wrote into a query of their own: a SELECT hands back whatever constants it is given."""
    own = reply.tool == "sql" or reply.tool not in COLUMNS
    return {_value(text) for text, _ in _NUMBER.findall(reply.sql)} if own else set()


def _value(text: str) -> float:
    return abs(float(text.replace(",", "")))


def _named(reply: Reply) -> set[str]:
    """Return every text of a reply: its cells, the entities it is about, what it was asked with."""
    found = set(reply.entities) | {str(value) for value in _leaves(reply.arguments) if isinstance(value, str)}
    for name, kind in reply.rows.schema.items():
        if kind == pl.String or isinstance(kind, pl.Categorical | pl.Enum):
            found |= set(reply.rows[name].cast(pl.String).drop_nulls().unique().to_list())
    return found


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, list | tuple) else [value]


def _occurs(name: str, cells: set[str]) -> bool:
    if name in cells:
        return True
    whole = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    return any(name in cell and whole.search(cell) for cell in cells)


def _without_names(statement: Statement, cells: set[str]) -> str:
    """Return the words without the names in them, whose digits are no numbers."""
    words = statement.words.replace(statement.entity_id, " ") if statement.entity_id else statement.words
    names = sorted((cell for cell in cells if any(c.isalpha() for c in cell) and cell in words), key=len, reverse=True)
    for name in names:
        words = words.replace(name, " ")
    return _ID.sub(" ", _METRIC.sub(" ", words))


def _about(rows: pl.DataFrame, statement: Statement) -> pl.DataFrame:
    """Return the rows about what a statement names; all where they do not say what they are about."""
    columns = [name for name in _ABOUT if name in rows.columns and rows.schema[name] == pl.String]
    names = {cell for name in columns for cell in rows[name].drop_nulls().unique().to_list()}
    meant = [name for name in names if name == statement.entity_id or (len(name) > 2 and _occurs(name, {statement.words}))]
    mine = rows.filter(pl.any_horizontal(pl.col(name).is_in(meant) for name in columns)) if meant else rows
    if "metric" in mine.columns:
        metrics = [name for name in mine["metric"].drop_nulls().unique().to_list() if _occurs(str(name), {statement.words})]
        mine = mine.filter(pl.col("metric").is_in(metrics)) if metrics else mine
    return mine


def _holds(text: str, percent: bool, rows: pl.DataFrame) -> bool:
    """Return whether a number as written is a cell, to the digits written; an unsigned one may be the size of a fall."""
    plain = text.replace(",", "")
    value = float(plain)
    mantissa, _, power = plain.lower().partition("e")
    half = 0.5 * 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2])) * (1.0 + 1e-9)
    if not percent and value == rows.height:
        return True
    signed = plain[0] in "+-"
    for name, kind in rows.schema.items():
        if kind.is_numeric():
            for cell in rows[name].drop_nulls().to_list():
                size = float(cell)  # sums of whole numbers come as decimals
                sizes = (size, 100.0 * size) if percent else (size,)
                if any(abs((each if signed else abs(each)) - value) <= half for each in sizes):
                    return True
        elif kind == pl.String:
            token = re.compile(rf"(?<![\d.]){re.escape(text)}(?!\d|\.\d)")
            if any(text in cell and token.search(cell) for cell in rows[name].drop_nulls().to_list()):
                return True
    return False


def _turned(words: str, rows: Sequence[pl.DataFrame]) -> str:
    """Return what is wrong where the words say that a metric rose or fell, and the scan's rows of it say the contrary."""
    up, down = bool(_ROSE.search(words)), bool(_FELL.search(words))
    scans = [frame for frame in rows if {"before", "after", "metric"} <= set(frame.columns) and frame.height]
    if up == down or not scans or not _METRIC.search(words):
        return ""
    moved = [step for frame in scans for step in (frame["after"] - frame["before"]).drop_nulls().to_list() if step]
    if not moved or any((step > 0) == up for step in moved):
        return ""
    return f"it did not {'rise' if up else 'fall'}: what it cites says the contrary"


class _Places:
    """What is an entity, and what hangs directly on what, asked once each."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._targets: dict[str, frozenset[str]] = {}

    def targets(self, entity: str) -> frozenset[str]:
        """Return what an entity hangs on directly."""
        if entity not in self._targets:
            self._targets[entity] = frozenset(self._edges(entity, "depends_on").get_column("target").to_list())
        return self._targets[entity]

    def known(self, entity: str) -> bool:
        """Return whether there is such an entity: something hangs on it, it on something, or it has readings."""
        if self.targets(entity) or self._edges(entity, "depended_on_by").height:
            return True
        metrics = self._tools.call("list_metrics", {"entity": entity})
        return metrics.ok and metrics.rows.height > 0

    def _edges(self, entity: str, direction: str) -> pl.DataFrame:
        reply = self._tools.call("topology", {"entity": entity, "direction": direction, "hops": 1})
        good = reply.ok and {"source", "target"} <= set(reply.rows.columns)
        return reply.rows if good else pl.DataFrame(schema={"source": pl.String, "target": pl.String})


def _place(hypothesis: Hypothesis, incident: Incident, places: _Places) -> tuple[str, bool]:
    """Return what is wrong with a cause's entity and path, and whether the cause falls with it."""
    entity, path = hypothesis.entity_id, hypothesis.path
    if not entity:
        return "", False
    if entity != incident.entity_id and not places.known(entity):
        return f"there is no {entity}", True
    if not path:
        return "", False
    if path[0] != entity or path[-1] != incident.entity_id:
        return f"the path runs from {path[0]} to {path[-1]}, not from {entity} to {incident.entity_id}", False
    for cause, effect in pairwise(path):
        if cause not in places.targets(effect):
            return f"{effect} does not hang on {cause}", False
    return "", False


def _late(hypothesis: Hypothesis, incident: Incident, tolerance_s: float) -> str:
    after_s = hypothesis.onset_s - incident.onset_s
    if not after_s > tolerance_s:
        return ""
    return f"it began {after_s:.0f} s after the symptom"


def _status(draft: Investigation, kept: Sequence[Hypothesis]) -> Status:
    """Return the status: inconclusive where the leading cause fell, confirmed only where two replies speak for it."""
    if not kept or draft.status == "inconclusive":
        return "inconclusive"
    first = draft.hypotheses[0]
    if (first.entity_id, first.cause) != (kept[0].entity_id, kept[0].cause):
        return "inconclusive"
    cited = {evidence_id for item in kept[0].statements if item.supports for evidence_id in item.evidence_ids}
    return "likely" if draft.status == "confirmed" and len(cited) < 2 else draft.status
