"""Cases that no run wrote: own telemetry, folders, predictions."""

from argparse import Namespace
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app.commands import incidents, told
from app.commands.terminal import Answer, home, table

if TYPE_CHECKING:
    from twin.incidents.case import Case

_SHOWN: Final = 5
_QUIET_S: Final = 1_200.0


def own(arguments: Namespace) -> Answer:
    """Look into a folder's case, or into an incident in imported telemetry that is named by hand."""
    from policies.investigate import chosen, look, moments
    from policies.knowledge import known
    from twin.store.investigations import Investigated

    place = home()
    bare, end_s = _folder(arguments.case) if arguments.case is not None else _imported(arguments, place)
    knows = known(place, bare.incident.began - bare.incident.onset_s)
    history = knows.history if bare.history.is_empty() else bare.history
    case = type(bare)(bare.source, bare.incident, bare.frames, history, bare.runbooks or knows.runbooks)
    named_s = {incidents.moment_of(text, case.incident) for text in arguments.as_of}
    first_s = case.incident.detected_s
    if outside := [t_s for t_s in named_s if not first_s <= t_s <= end_s]:
        raise ValueError(f"--as-of: {outside[0]:g} s is outside {first_s:g} s to {end_s:g} s, its opening to the last reading")
    when_s = sorted(named_s) or moments(case.incident, end_s)
    policy = incidents.asked(arguments)
    found = look(case, policy, knows, when_s, incidents.person(arguments))
    looked = Investigated("", "", case.incident, chosen(policy).canonical(), found, {**knows.basis, "source": case.source})
    blamed = _blamed(case, when_s[-1]) if arguments.telemetry is not None else []
    lines = [case.source, *told.words(looked), *_blame_lines(blamed), "nothing is stored: the case is no run's"]
    return Answer({**told.as_value(looked), "blamed": blamed}, lines)


def _blamed(case: "Case", as_of_s: float) -> list[dict[str, Any]]:
    """Return who is to blame by anomalies and the graph alone, which needs no class of cause; nobody where no normal time is known."""
    import polars as pl

    from twin.incidents.blame import blame
    from twin.incidents.dependencies import from_edges
    from twin.incidents.series import from_table

    incident, edges = case.incident, case.frames.get("topology")
    readings = case.frames["telemetry"].filter(pl.col("time") <= as_of_s).rename({"time": "t_s", "entity": "entity_id"}).collect()
    series = from_table(readings)
    pairs = [] if edges is None else edges.select("source", "target").collect().rows()
    normal = series.t_s <= incident.onset_s
    # More of the window lies in quiet than in trouble.
    window = series.t_s > incident.onset_s - max(_QUIET_S, 2.0 * (as_of_s - incident.onset_s))
    if not normal.any() or not (series.t_s > incident.onset_s).any():
        return []
    found = blame(series, from_edges(pairs, series.entity_ids), (incident.entity_id, incident.metric), normal, window, incident.onset_s)
    first = found.ranking[:_SHOWN] if found.accused else ()
    return [{"entity_id": each.entity_id, "score": each.score, "reasons": list(each.reasons)} for each in first]


def _blame_lines(blamed: list[dict[str, Any]]) -> list[str]:
    heads = ["by anomalies and the graph alone, as public data sets are ranked:"] if blamed else []
    ranked = enumerate(blamed, start=1)
    return heads + [f"  {n}. {told.printable(each['entity_id'])}: {told.printable('; '.join(each['reasons']))}" for n, each in ranked]


def _folder(path: str) -> tuple["Case", float]:
    import polars as pl

    from twin.store import case_files

    case = case_files.load(Path(path))
    end_s = case.frames["telemetry"].select(pl.col("time").max()).collect().item()
    return case, max(float(end_s or 0.0), case.incident.detected_s)


def _imported(arguments: Namespace, place: Path) -> tuple["Case", float]:
    from twin.store import case_files

    missing = [name for name in ("entity", "metric", "onset") if getattr(arguments, name) is None]
    if missing:
        raise ValueError(f"--import needs --{missing[0]}: whose symptom it is, in which metric, and when it began")
    topology = None if arguments.topology is None else Path(arguments.topology)
    return case_files.of_import(arguments.telemetry, place, (arguments.entity, arguments.metric), arguments.onset, topology)


def predicted(arguments: Namespace) -> Answer:
    """Say how sure one may be of imported predictions, each learning from those that were resolved before its incident began."""
    from policies.predicted import confided, measured

    said = confided(arguments.predictions, incidents.asked(arguments), home())
    value = [
        {
            "incident": each.prediction.incident.incident_id,
            "cause": each.prediction.cause,
            "score": _number(each.prediction.score),
            "confidence": each.said.confidence,
            "calibrated": each.said.calibrated,
            "labels": each.said.labels,
            "right": each.right,
            "words": each.said.words,
        }
        for each in said
    ]
    rows = [
        (
            each["incident"],
            told.printable(each["cause"] or "–")[:40],
            "–" if each["score"] is None else f"{each['score']:.2f}",
            f"{each['confidence']:.0%}",
            f"{each['labels']} labels" if each["calibrated"] else "uncalibrated",
            {True: "right", False: "wrong", None: ""}[each["right"]],
        )
        for each in value
    ]
    numbers = measured(said)
    lines = table(rows, ("incident", "cause", "own score", "confidence", "", "known to be"), right=(2, 3))
    return Answer({"predictions": value, "measures": numbers}, [*lines, *_measures(numbers)])


def _measures(numbers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not numbers:
        return ["none of them is known to be right or wrong, so nothing says how far they can be believed"]
    heads = ("over the calibrated", *numbers)
    names = list(next(iter(numbers.values())))
    return ["", *table([(name, *(_shown(numbers[who][name]) for who in numbers)) for name in names], heads, right=range(1, len(heads)))]


def _shown(value: Any) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _number(value: float) -> float | None:
    return value if isfinite(value) else None
