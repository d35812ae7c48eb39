"""Drills: what holders said of them is held to the truth, labelled, counted and kept."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from policies import drill, drilled
from policies.drill import HOLDERS, OURS, Drilled, Question, Said
from policies.reproduce import reproduce
from twin.incidents.case import Incident
from twin.store import drills


def _said(right: bool, score: float = 0.9, status: str = "likely", holder: str = OURS, cause: str = "slow_nic") -> Said:
    return Said(holder, cause, "host-1", score, status, right, right, 4, 1, 0.5, score, 0.1)


def _drilled(number: int, *said: Said, provable: bool = True, began: float = 0.0) -> Drilled:
    onset_s = 60.0 * number
    incident = Incident(f"i-{number}", "front is slow", "", "major", "service", "front", "services.latency_p99_s", onset_s, onset_s + 120.0,
                        began + onset_s, ("front",))  # fmt: skip
    kind = "slow_nic" if provable else "none"
    return Drilled(f"d-{number}", kind, kind, "host-1", provable, False, 0, incident if said else None, began + onset_s + 3600.0, said, 1.0)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drilled")


@pytest.fixture(scope="module")
def slow_nic(home: Path) -> Drilled:
    """Return the first drill of a kind whose cause is in plain sight."""
    number = next(number for number in range(100) if (found := drill.of(Question("drill-a", "fit", number, 1, home))).fault is not None
                  and found.fault.kind == "slow_nic" and found.truth.provable)  # fmt: skip
    return drill.ask(Question("drill-a", "fit", number, 1, home), None, None)


def test_every_holder_is_asked_about_a_drill_and_the_investigator_finds_a_slow_network_card(slow_nic: Drilled) -> None:
    assert slow_nic.incident is not None
    assert [said.holder for said in slow_nic.said] == list(HOLDERS)
    ours = slow_nic.said[0]
    assert (ours.cause, ours.entity_id, ours.right) == ("slow_nic", slow_nic.entity_id, True)
    assert all(0.0 <= said.likely <= 1.0 for said in slow_nic.said if said.cause)
    assert slow_nic.known > slow_nic.incident.began


def test_a_drill_that_is_known_is_read_and_not_simulated_again(slow_nic: Drilled, home: Path) -> None:
    told = drills.load(slow_nic.key, home)
    assert told is not None
    drills.save(slow_nic.key, {**told, "confounders": 77}, home)
    again = drill.ask(Question("drill-a", "fit", int(slow_nic.key.rsplit("-", 1)[1]), 1, home), None, None)
    assert again.confounders == 77
    drills.save(slow_nic.key, told, home)


def test_what_is_kept_is_what_was_found() -> None:
    found = _drilled(3, _said(True), _said(False, math.nan, "inconclusive", "no_tools"))
    again = Drilled.of(json.loads(json.dumps(found.json_dict())))
    assert (again.incident, again.said[0], again.key) == (found.incident, found.said[0], found.key)
    assert math.isnan(again.said[1].score)
    assert Drilled.of(_drilled(4).json_dict()) == _drilled(4)


def test_an_answer_counts_first_only_where_it_is_firm_and_right() -> None:
    found = [_drilled(0, _said(True)), _drilled(1, _said(False)), _drilled(2, _said(True, status="inconclusive")), _drilled(3)]
    told = drilled.figures(found)
    assert (told.provable, told.noticed) == (4, 3)
    assert told.top1 == pytest.approx(1 / 3)
    assert told.first == pytest.approx(2 / 3)
    assert told.confused[0][0] == "slow_nic"


def test_whoever_names_somebody_where_nothing_can_be_proven_accuses_and_who_says_inconclusive_does_not() -> None:
    found = [_drilled(number, _said(False), provable=False) for number in range(3)]
    found += [_drilled(number, _said(False, status="inconclusive"), provable=False) for number in range(3, 12)]
    assert drilled.figures(found).accused == pytest.approx(0.25)
    assert drilled.figures([]).accused is None


def test_predictions_carry_what_was_said_and_what_was_right() -> None:
    labels = drilled.labelled(_drilled(5, _said(True), _said(False, holder="nearest")))
    assert [(each.prediction.predictor, each.right) for each in labels] == [(OURS, True), ("nearest", False)]
    assert labels[0].prediction.investigation is not None
    assert (labels[0].prediction.investigation.claims, labels[0].prediction.investigation.unsupported) == (4, 1)
    assert not drilled.labelled(_drilled(6)), "nobody noticed"


def test_confidence_is_fitted_on_the_earlier_and_judged_on_the_later() -> None:
    random = np.random.default_rng(1)

    def many(count: int, began: float) -> list[Drilled]:
        scores = random.random(count)
        return [_drilled(i, _said(bool(random.random() < score), float(score)), began=began) for i, score in enumerate(scores)]

    sure = drilled.confidence(many(300, 0.0), many(300, 1e7))
    assert sure is not None
    assert sure.brier < sure.base_brier
    assert sure.auroc > 0.7
    assert drilled.confidence([], many(10, 0.0)) is None


def test_claims_are_checked_on_what_the_harness_gives(home: Path, slow_nic: Drilled) -> None:
    """One drill of each part, kept beforehand: the claims come to a verdict, and PACE's to none of fewer than 500."""
    later = replace(slow_nic, key="drill-b-held-out-1-0")
    assert slow_nic.incident is not None
    late = replace(slow_nic.incident, began=slow_nic.incident.began + 1e7)
    drills.save(later.key, replace(later, incident=late).json_dict(), home)
    drills.save("drill-a-fit-1-1000", replace(slow_nic, key="drill-a-fit-1-1000").json_dict(), home)
    harness = drilled.Harness(earlier_drills=1, later_drills=1)
    rows = {
        f"{row['system']}/{row['claim']}": row for who in ("react_rca", "pace") for row in reproduce(home, who, scored_incidents=harness)
    }
    assert rows["react_rca/unsupported"]["verdict"] == "not comparable"
    assert rows["react_rca/competitive"]["points"][0]["labels"]["right, react_rca"] == 1.0
    assert rows["pace/ece"]["verdict"] == "not comparable"
    assert rows["pace/ece"]["points"][0]["labels"]["later predictions"] == 1.0


@pytest.mark.timeout(600)
def test_in_a_minute_causes_are_found_on_a_scenario_that_nothing_was_tuned_on(home: Path) -> None:
    """The one-minute version of ``tests/soak/test_drills.py``."""
    found = drilled.figures(drilled.asked(drilled.LATER, "held-out", 16, home, workers=2))
    assert found.noticed >= 8
    assert found.top1 is not None
    assert found.top1 > 0.80, found.confused
    assert not found.unprovable or (found.accused or 0.0) <= 1.0 / found.unprovable
