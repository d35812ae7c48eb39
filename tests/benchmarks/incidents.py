"""How often the investigator is right, how sure it may be, and what an investigation costs.

Drills of a scenario on which nothing was tuned; PACE is fitted on drills of another one and of days before. What is kept of a
drill by this version of the code is not simulated again.
"""

import time
from pathlib import Path
from typing import Any

# Earlier and later drills where not all are asked for.
_FEW = (60, 40)


def _example_s(home: Path) -> float | None:
    """Return the CPU time of one investigation of the example's day, the tables opened anew."""
    from policies import catalogue, composing, embedding, study
    from policies.policy import TODAY
    from twin.incidents import runbooks
    from twin.incidents.history import draw
    from twin.incidents.levers import InvestigationObservation
    from twin.scenario import load
    from twin.store import case_of_run
    from twin.store.toolbox import CaseToolbox

    example = load("example")
    run_id = study.run(example, TODAY, example.seed, home)
    incidents = case_of_run.incidents_of(run_id, home)
    if not incidents:
        return None
    incident, card = incidents[0], catalogue.card("react_rca")
    history, similar = draw(3_000, incident.began, 1).incidents, embedding.choose(home)
    begin = time.process_time()
    case = case_of_run.read(run_id, home, incident, history, runbooks.texts())
    with CaseToolbox(case, min(incident.detected_s + 1_200.0, example.horizon_s), similar=similar) as tools:
        card.build(card.knobs(), composing.surroundings(example)).investigate(InvestigationObservation(incident, tools))
    return time.process_time() - begin


def measure(full: bool = False) -> list[dict[str, Any]]:
    """Return one row per figure."""
    from policies import drilled
    from twin.sources import home_dir

    home = home_dir()
    few, many = (drilled.EARLIER_DRILLS, drilled.LATER_DRILLS) if full else _FEW
    earlier = drilled.asked(drilled.EARLIER, "fit", few, home, workers=2)
    later = drilled.asked(drilled.LATER, "held-out", many, home, workers=2)
    told, sure = drilled.figures(later), drilled.confidence(earlier, later)
    rows = [
        _row("drills", float(told.drills), "drills"),
        _row("provable", float(told.provable), "drills"),
        _row("noticed_share", told.noticed / max(told.provable, 1), "share of the provable"),
        _row("top1_share", told.top1, "share of those noticed", at_least=0.80),
        _row("top3_share", told.top3, "share of those noticed"),
        _row("unprovable", float(told.unprovable), "incidents"),
        _row("false_accusation_share", told.accused, "share of the unprovable", at_most=0.05),
        _row("investigation_cpu_s", told.cpu_s, "s"),
        _row("investigation_example_day_cpu_s", _example_s(home), "s", at_most=2.0),
    ]
    if sure is not None:
        rows += [
            _row("confidence_labels", float(sure.labels), "earlier answers"),
            _row("confidence_judged", float(sure.judged), "later answers"),
            _row("confidence_right_share", sure.right_share, "share of them"),
            _row("confidence_brier", sure.brier, "", at_most=sure.base_brier),
            _row("confidence_auroc", sure.auroc, "", at_least=0.75),
            _row("confidence_ece_equal_width", sure.ece_width, ""),
        ]
    for holder in drilled.drill.HOLDERS[1:]:
        rows.append(_row(f"first_share_{holder}", drilled.figures(later, holder).first, "share of those noticed"))
    return [row for row in rows if row["value"] is not None]


def _row(name: str, value: float | None, unit: str, at_least: float | None = None, at_most: float | None = None) -> dict[str, Any]:
    target = at_least if at_least is not None else at_most
    meets = None if target is None or value is None else (value >= target if at_least is not None else value <= target)
    better = "higher" if at_least is not None else "lower"
    return {"domain": "incidents", "name": name, "value": value, "unit": unit, "target": target, "better": better, "meets": meets}
