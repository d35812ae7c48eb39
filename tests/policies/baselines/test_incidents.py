"""The plain investigators: what earlier incidents were, a first thought, the loudest metric."""

import polars as pl
import pytest

from policies import catalogue
from policies.baselines.incidents import BASELINES
from policies.system import Surroundings
from twin.incidents.case import Incident
from twin.incidents.levers import InvestigationObservation
from twin.incidents.tools import Reply

AROUND = Surroundings((), (), (), (), (), (), 0, 0.0)
INCIDENT = Incident("i", "cart is late", "p99 above 0.5 s", "major", "service", "cart", "services.latency_p99_s", 3600.0, 3700.0, 1.7e9)
CARDS = {card.id: card for card in BASELINES}


class Told:
    """A toolbox with one answer for each tool."""

    tools, as_of_s = (), 7200.0

    def __init__(self, **frames):
        self.frames = frames

    def call(self, name, arguments):
        rows = self.frames.get(name, pl.DataFrame())
        return Reply("E1", name, arguments, name in self.frames, rows, "rows", error_kind="" if name in self.frames else "no data")

    def evidence(self, evidence_id):
        return self.call(next(iter(self.frames)), {}) if evidence_id == "E1" and self.frames else None


def investigate(name, tools, **knobs):
    card = CARDS[name]
    return card.build(card.knobs(**knobs), AROUND).investigate(InvestigationObservation(INCIDENT, tools))


@pytest.fixture
def history():
    causes = ["memory_leak", "bad_deployment", "bad_deployment", "slow_nic"]
    rows = {"incident_id": [f"old-{i}" for i in range(4)], "similarity": [0.9, 0.6, 0.5, 0.1], "cause": causes, "title": ["t"] * 4}
    return Told(history_search=pl.DataFrame(rows))


def test_the_majority_of_the_nearest_counts_by_similarity(history):
    found = investigate("retrieval_k10", history)
    assert [item.cause for item in found.hypotheses] == ["bad_deployment", "memory_leak", "slow_nic"]
    assert found.hypotheses[0].entity_id == "cart"
    assert sum(item.score for item in found.hypotheses) == pytest.approx(1.0)
    assert found.unsupported == 0


def test_an_empty_history_leaves_it_inconclusive():
    for name in ("nearest", "retrieval_k10", "loudest"):
        assert investigate(name, Told()).status == "inconclusive"


def test_a_first_thought_cites_nothing_and_is_counted_as_unsupported():
    found = investigate("no_tools", Told())
    assert found.unsupported == 1
    assert found.status == "inconclusive"
    assert found.steps == ()


def test_the_loudest_metric_is_blamed_wherever_it_stands():
    rows = {"entity": ["cart", "host-9"], "kind": ["service", "host"], "metric": ["services.cpu_share", "service_hosts.steal_share"]}
    rows |= {"robust_z": [4.0, 90.0], "before": [0.4, 0.0], "after": [0.6, 0.7], "onset_s": [3500.0, 3500.0]}
    edges = pl.DataFrame({"source": ["cart"], "target": ["host-9"]})
    found = investigate("loudest", Told(anomaly_scan=pl.DataFrame(rows), topology=edges))
    assert [item.entity_id for item in found.hypotheses] == ["host-9", "cart"]


def test_the_catalogue_knows_them_as_holders_of_investigation():
    held = [card.id for card in catalogue.holders_of("investigation")]
    assert held[0] == "nearest"
    assert set(held) >= {"nearest", "retrieval_k10", "no_tools", "loudest", "react_rca"}
