"""From what tools answered to hypotheses with what speaks for and against."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, nan
from typing import Any, Final

import polars as pl

from policies.systems.react_rca import candidates
from policies.systems.react_rca.candidates import LATE_S, MOVED, Candidate
from policies.systems.react_rca.signatures import Match, Sign, Where, matches
from twin.incidents.case import Incident
from twin.incidents.trajectory import Hypothesis, Statement

# How long before its effect a change still counts as just before.
CHANGE_S: Final = 3600.0
# So soon after a change whatever moves may be its doing; with each such time after that it is half as likely. Proposed.
_AT_ONCE_S: Final = 180.0
_HALF_S: Final = 600.0
# Blame of an entity that shows nothing itself but is named by an event or a log; a place without a known class; most hypotheses kept.
_SILENT: Final = 0.6
_NAMELESS: Final = 0.4
MOST: Final = 5
_PRIOR_LOW: Final = 0.9
_PRIOR_SPAN: Final = 0.2
# How the change log calls a switch of policy, and the class of cause that it may be.
_POLICY: Final = "policy"
POLICY_CHANGE: Final = "policy_change_wrong"
_NOT_SYMPTOM_KINDS: Final = frozenset(("alert",))


@dataclass(frozen=True)
class Seen:
    """Rows of what tools answered, and under which evidence ids."""

    incident: Incident
    topology: pl.DataFrame
    scan: pl.DataFrame
    events: pl.DataFrame
    changes: pl.DataFrame
    history: pl.DataFrame
    cited: Mapping[str, str]
    # Of the time since the onset alone: in the scan what was before it may be the larger part.
    since: pl.DataFrame = field(default_factory=pl.DataFrame)

    @property
    def cone(self) -> frozenset[str]:
        """Return the entities that the symptom hangs on, with itself."""
        return frozenset([self.incident.entity_id, *self.topology["source"].to_list(), *self.topology["target"].to_list()])


@dataclass(frozen=True)
class Suspect:
    """One hypothesis in the making: who, which class, how it scores, what was found since."""

    candidate: Candidate
    match: Match | None
    score: float
    statements: tuple[Statement, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def cause(self) -> str:
        """Return the class of cause, empty where none fits."""
        return "" if self.match is None else self.match.signature.cause

    @property
    def onset_s(self) -> float:
        """Return since when: its own change, else the event that named it."""
        told = self.candidate.onset_s if self.match is None else self.match.onset_s
        return told if isfinite(told) else self.candidate.onset_s

    def hypothesis(self) -> Hypothesis:
        """Return it as the trajectory has it."""
        mechanism = "what moved fits no known kind of fault" if self.match is None else self.match.signature.mechanism
        return Hypothesis(
            entity_kind=self.candidate.kind,
            entity_id=self.candidate.entity,
            cause=self.cause,
            mechanism=mechanism,
            path=self.candidate.path,
            onset_s=self.onset_s,
            score=round(min(max(self.score, 0.0), 1.0), 6),
            statements=self.statements,
        )


def form(seen: Seen) -> list[Suspect]:
    """Return the hypotheses that the rows carry, the likeliest first."""
    scan, kinds = candidates.strengths(seen.scan), _kinds(seen)
    facts = {entity: _facts(seen, scan, entity) for entity in sorted(seen.cone | set(scan["entity"].to_list()) | _switched(seen))}
    fits = {entity: matches(kinds.get(entity, ""), rows) for entity, rows in facts.items()}
    means = {entity: found[0].score if found else 0.0 for entity, found in fits.items()}
    ranked = candidates.rank(scan, seen.topology, seen.incident.entity_id, seen.incident.onset_s, means)
    named = {item.entity for item in ranked}
    ranked += tuple(_silent(seen, entity, kinds, fits[entity][0]) for entity in fits if entity not in named and _told(fits[entity]))
    out: list[Suspect] = []
    for item in ranked:
        found = fits.get(item.entity, ())
        for match in found[:2]:
            score = match.score**0.6 * item.score**0.4 * (_PRIOR_LOW + _PRIOR_SPAN * neighbours(seen.history, match.signature.cause))
            out.append(Suspect(item, match, min(score, 1.0), _statements(seen, item.entity, match)))
        if not found and item.entity != seen.incident.entity_id:
            told = _told_by_scan(seen, scan, item.entity)
            out.append(Suspect(item, None, _NAMELESS * item.score, told))
    return sorted(out, key=order)


def order(suspect: Suspect) -> tuple[float, str, str]:
    """Return the order of hypotheses: score, then names."""
    return (-suspect.score, suspect.candidate.entity, suspect.cause)


def neighbours(history: pl.DataFrame, cause: str) -> float:
    """Return the share of similar incidents, by similarity, that had this cause; 0 without any."""
    if history.is_empty():
        return 0.0
    weight = history["similarity"].fill_null(0.0).clip(0.0, 1.0)
    total = float(weight.sum())
    return float(weight.filter(history["cause"] == cause).sum()) / total if total > 0.0 else 0.0


def ruled_out(seen: Seen, wide: pl.DataFrame, suspects: Sequence[Suspect]) -> list[str]:
    """Say of changes and of loud metrics elsewhere why they are not the cause."""
    symptom, onset_s, cone = seen.incident.entity_id, seen.incident.onset_s, seen.cone
    moved = {item.candidate.entity for item in suspects} | _moved(seen.scan)
    cited = {
        row_id for item in suspects if item.match for sign, row in item.match.spoken if sign.where == "change" for row_id in [_row_id(row)]
    }
    out = []
    for row in seen.changes.sort("time", "entity", "kind").iter_rows(named=True):
        what = f"{row['kind']} of {row['entity']} at {row['time']:.0f} s"
        if _row_id(row) in cited:
            continue
        if row["entity"] not in cone and row["kind"] != _POLICY:
            out.append(f"{what}: {symptom} does not hang on {row['entity']}")
        elif row["time"] > onset_s + LATE_S:
            out.append(f"{what}: it came after the symptom")
        elif seen.scan.is_empty():
            # Without readings nothing says that it moved nothing: it is not ruled out.
            continue
        elif row["entity"] not in moved:
            out.append(f"{what}: nothing about {row['entity']} moved after it")
        else:
            out.append(f"{what}: what moved at {row['entity']} is not what such a change moves")
    loud = candidates.strengths(wide).filter((pl.col("strength") >= 0.5) & ~pl.col("entity").is_in(sorted(cone)))
    for row in (
        loud.sort("strength", "entity", descending=[True, False]).unique("entity", maintain_order=True).head(5).iter_rows(named=True)
    ):
        out.append(f"{candidates.told(row)}: {symptom} does not hang on it")
    return out


def _moved(scan: pl.DataFrame) -> set[str]:
    return set(candidates.strengths(scan).filter(pl.col("strength") >= MOVED)["entity"].to_list())


def _row_id(row: Mapping[str, Any]) -> tuple[float, str, str]:
    return (float(row["time"]), str(row["entity"]), str(row["kind"]))


def _kinds(seen: Seen) -> dict[str, str]:
    """Return the kind of each entity, as the topology or the scan says."""
    kinds: dict[str, str] = {}
    pairs = [(seen.scan, "entity", "kind"), (seen.topology, "source", "source_kind"), (seen.topology, "target", "target_kind")]
    for frame, name, kind in pairs:
        kinds.update({entity: told for entity, told in frame.select(name, kind).unique().iter_rows() if told})
    switched = {entity: "site" for entity in _switched(seen) - set(kinds)}
    return switched | kinds | {seen.incident.entity_id: kinds.get(seen.incident.entity_id) or seen.incident.entity_kind}


def _facts(seen: Seen, scan: pl.DataFrame, entity: str) -> Mapping[Where, Sequence[Mapping[str, Any]]]:
    """Return what is known of one entity: its changes of metrics, what was logged of it, what was changed about it just before."""
    metrics = scan.filter((pl.col("entity") == entity) & (pl.col("strength") >= MOVED)).to_dicts()
    at_s = min([seen.incident.onset_s, *(row["onset_s"] for row in metrics if row["onset_s"] is not None)])
    late_s = max(at_s, seen.incident.onset_s) if metrics else at_s
    changes = seen.changes.filter((pl.col("entity") == entity) & pl.col("time").is_between(at_s - CHANGE_S, late_s + 60.0)).to_dicts()
    moved_s = [seen.incident.onset_s, *(row["onset_s"] for row in metrics if row["onset_s"] is not None)]
    changes = [row | {"strength": _soon(float(row["time"]), moved_s)} for row in changes]
    return {"metric": metrics, "log": _logged(seen, entity), "change": changes}


def _soon(changed_s: float, moved_s: Sequence[float]) -> float:
    """Return how well a change explains what moved after it, 0 to 1: most of what a change breaks, it breaks within minutes."""
    lags_s = [at_s - changed_s for at_s in moved_s if at_s > changed_s - _AT_ONCE_S]
    return float(0.5 ** (max(min(lags_s, default=CHANGE_S) - _AT_ONCE_S, 0.0) / _HALF_S))


def _logged(seen: Seen, entity: str) -> list[dict[str, Any]]:
    """Return events and logs about an entity: its own that name nobody else upstream, and others' that name it."""
    cone = seen.cone
    out = []
    for row in seen.events.iter_rows(named=True):
        if row["source"] in _NOT_SYMPTOM_KINDS or row["time"] > seen.incident.onset_s + LATE_S:
            continue
        words = f"{row['kind']} {row['words']}"
        named = {name for name in cone if name != row["entity"] and name in words and _whole(name, words)}
        if entity in named or (row["entity"] == entity and not named):
            out.append(row)
    return out


def _whole(name: str, words: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", words) is not None


def _told(found: Sequence[Match]) -> bool:
    """Return whether an event or a log decides, so that an entity counts though its metrics are silent."""
    if bool(found) and found[0].signature.cause == POLICY_CHANGE:
        return True
    return bool(found) and any(sign.key and sign.where == "log" for sign, _ in found[0].spoken)


def _switched(seen: Seen) -> set[str]:
    """Return where a policy was changed: it decides everywhere, whatever hangs on what."""
    return set(seen.changes.filter(pl.col("kind") == _POLICY)["entity"].to_list())


def _silent(seen: Seen, entity: str, kinds: Mapping[str, str], match: Match) -> Candidate:
    path = candidates.path_of(seen.topology, seen.incident.entity_id, entity)
    return Candidate(entity, kinds.get(entity, ""), _SILENT, ("named by what was logged",), 0.0, match.onset_s, len(path) - 1, path)


def _statements(seen: Seen, entity: str, match: Match) -> tuple[Statement, ...]:
    pairs = [(pair, True) for pair in match.spoken] + [(pair, False) for pair in match.against]
    return tuple(_statement(seen, entity, sign, row, supports) for (sign, row), supports in pairs)


def _statement(seen: Seen, entity: str, sign: Sign, row: Mapping[str, Any], supports: bool) -> Statement:
    if sign.where == "metric":
        words, cited = candidates.told(row), seen.cited["scan"]
    elif sign.where == "log":
        words, cited = f"{row['kind']} was logged at {row['entity']}, {row['time']:.0f} s", seen.cited["events"]
    else:
        words, cited = f"{row['kind']} of {row['entity']} at {row['time']:.0f} s", seen.cited["changes"]
    return Statement(f"{words} ({sign.why})", entity, (cited,), supports)


def _told_by_scan(seen: Seen, scan: pl.DataFrame, entity: str) -> tuple[Statement, ...]:
    rows = scan.filter((pl.col("entity") == entity) & (pl.col("strength") >= MOVED)).sort("strength", descending=True).head(3)
    return tuple(Statement(candidates.told(row), entity, (seen.cited["scan"],)) for row in rows.iter_rows(named=True))


def weakened(suspect: Suspect, factor: float, note: str, statement: Statement | None = None) -> Suspect:
    """Return a hypothesis that something speaks against, or (a factor of 1) for; the note says what."""
    told = suspect.statements if statement is None else (*suspect.statements, statement)
    return replace(suspect, score=suspect.score * factor, statements=told, notes=(*suspect.notes, note))


def turned(readings: pl.DataFrame, from_s: float) -> tuple[float, float] | None:
    """Return time and value of the first of two readings in a row that leave what was usual before ``from_s``; None without any.

    Usual is the median of the time before, give or take six of its median deviations and one percent.
    """
    rows = readings.drop_nulls(["time", "value"]).sort("time")
    before = rows.filter(pl.col("time") < from_s)["value"]
    if before.len() < 5 or rows.is_empty():
        return None
    middle = before.median()
    centre = float(middle) if isinstance(middle, int | float) else nan
    spread = (before - centre).abs().median()
    wide = 6.0 * 1.4826 * (float(spread) if isinstance(spread, int | float) else 0.0) + 0.01 * abs(centre) + 1e-12
    times, values = rows["time"].to_list(), rows["value"].to_list()
    out = [abs(value - centre) > wide for value in values]
    for i in range(len(values) - 1):
        if times[i] >= from_s - CHANGE_S and out[i] and out[i + 1]:
            return float(times[i]), float(values[i])
    return None
