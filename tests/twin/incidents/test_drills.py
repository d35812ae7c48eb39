"""Drills: drawn by use and number, with their ground truth."""

from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest

from twin.clock import Clock
from twin.faults import Fault
from twin.fleet_file import named
from twin.incidents.causes import CAUSES
from twin.incidents.drills import KINDS, USES, Drill, Use, drawn, strong, targets
from twin.incidents.elsewhere import Elsewhere
from twin.incidents.model import Felt, Model
from twin.incidents.settings import Settings
from twin.scenario import FAULT_OWNERS, read
from twin.sources import data_dir, toml
from twin.tables import Sink

BASES = {name: toml(data_dir() / "scenarios" / f"{name}.toml") for name in ("drill-a", "drill-b")}


def _drill(number: int, use: Use = "history", base: str = "drill-a", **more: Any) -> Drill:
    return drawn(BASES[base], named(base), use, number, **more)


MANY = [_drill(number) for number in range(1500)]


def test_the_same_drill_is_the_same_and_the_base_stays_as_it_is() -> None:
    before = repr(BASES["drill-a"])
    assert _drill(7) == _drill(7) != _drill(8)
    assert _drill(7, seed=2) != _drill(7)
    assert repr(BASES["drill-a"]) == before


def test_uses_share_no_seed_no_day_and_no_draw_and_later_ones_lie_later() -> None:
    found = {use: [_drill(number, use) for number in range(60)] for use in USES}
    starts = {use: [drill.scenario["start"] for drill in drills] for use, drills in found.items()}
    assert max(starts["history"]) < min(starts["fit"]) <= max(starts["fit"]) < min(starts["held-out"])
    seeds = [drill.scenario["seed"] for drills in found.values() for drill in drills]
    assert len(set(seeds)) == len(seeds)
    assert [drill.truth for drill in found["history"]] != [drill.truth for drill in found["fit"]]


def test_kinds_come_as_often_as_they_are_weighted() -> None:
    count = Counter("none" if drill.fault is None else drill.fault.kind for drill in MANY)
    assert set(count) == set(targets(BASES["drill-a"], named("drill-a")))
    whole = sum(KINDS[kind].frequency for kind in count)
    for kind in ("none", "bad_deployment", "memory_leak", "slow_nic"):
        assert count[kind] / len(MANY) == pytest.approx(KINDS[kind].frequency / whole, rel=0.35)


def test_truth_says_what_was_injected_and_nothing_where_nothing_was() -> None:
    for drill in MANY:
        if drill.fault is None:
            assert (drill.truth.entity_id, drill.truth.cause, drill.truth.provable) == ("", "none", False)
            continue
        assert drill.fault.kind in CAUSES[drill.truth.cause].faults
        assert drill.truth.onset_s == drill.fault.from_s
        injected = [
            fault for fault in drill.scenario["faults"] if fault["kind"] == drill.fault.kind and fault["target"] == drill.fault.target
        ]
        assert injected[0]["severity"] == drill.fault.severity
        assert 0.5 <= drill.fault.from_s / 10_800.0 <= 0.75


def test_some_faults_are_too_faint_to_be_proven_and_those_are_far_weaker() -> None:
    faint = [drill for drill in MANY if drill.fault is not None and not drill.truth.provable]
    assert len(faint) / len(MANY) == pytest.approx(0.09, abs=0.03)
    for drill in faint:
        assert drill.fault is not None
        assert drill.fault.severity < 0.02 < KINDS[drill.fault.kind].strong[0]


def test_there_are_none_one_or_two_confounders_and_none_strikes_who_is_to_blame() -> None:
    count = Counter(len(drill.confounders) for drill in MANY)
    assert set(count) == {0, 1, 2}
    assert count[0] / len(MANY) == pytest.approx(0.35, abs=0.05)
    for drill in MANY:
        assert not any(words.split(" at ")[1].startswith(f"{drill.truth.entity_id},") for words in drill.confounders)
        planned = drill.scenario["incidents"].get("changes", [])
        assert len(planned) == sum(words.startswith("change ") for words in drill.confounders)
        assert len(drill.scenario["faults"]) == len(drill.confounders) - len(planned) + (drill.fault is not None)


@pytest.mark.parametrize("base", ["drill-a", "drill-b"])
def test_drills_are_scenarios(base: str) -> None:
    """Without what is not wired: the section of incidents, and its own faults."""
    for number in range(12):
        scenario = dict(_drill(number, "held-out", base).scenario)
        assert Settings.model_validate(scenario.pop("incidents")).services
        scenario["faults"] = [fault for fault in scenario["faults"] if FAULT_OWNERS.get(fault["kind"], "incidents") != "incidents"]
        assert read(scenario).spec.seed == scenario["seed"]


def test_the_held_out_scenario_shares_no_service_host_or_server_with_the_other() -> None:
    one, other = (set().union(*targets(base, named(name)).values()) - {"", "site"} for name, base in BASES.items())
    assert not {name for name in one & other if not name.startswith(("ups", "pdu"))}


def test_only_kinds_that_were_asked_for_are_drawn() -> None:
    drills = [_drill(number, kinds=("slow_nic", "none")) for number in range(40)]
    assert {"none" if drill.fault is None else drill.fault.kind for drill in drills} == {"slow_nic", "none"}
    with pytest.raises(ValueError, match="nothing there can be struck by earthquake"):
        _drill(1, kinds=("earthquake",))
    with pytest.raises(ValueError, match="there is no use 'test' of drills; it is one of history, fit, held-out"):
        _drill(1, "test")  # type: ignore[arg-type]


def test_planned_changes_stand_in_the_change_log_once_whatever_the_ticks() -> None:
    drill = next(drill for drill in MANY if drill.scenario["incidents"].get("changes"))
    settings, sink = Settings.model_validate(drill.scenario["incidents"]), Sink({})
    writer = Elsewhere(settings.changes, [] if drill.fault is None else [drill.fault], 10_800.0)
    for tick in range(360):
        writer.record(sink, 30.0 * tick, 30.0 * (tick + 1))
    rows = sink.frames()["changes"].filter(pl.col("actor") != "facility operations")
    assert rows.select("t_s", "entity_id", "words").rows() == [(each.at_s, each.entity_id, each.words) for each in settings.changes]


@pytest.mark.parametrize("name", ["drill-a", "drill-b", "retry-storm"])
def test_packaged_sections_of_incidents_are_sound(name: str) -> None:
    raw = toml(data_dir() / "scenarios" / f"{name}.toml")
    settings = Settings.model_validate(raw["incidents"])
    endpoints = {endpoint["id"] for endpoint in raw["serving"]["endpoints"]}
    functions = {function["id"] for function in raw.get("functions", {}).get("functions", ())}
    hosts = set(named(raw["fleet"]).host_ids)
    for service in settings.services:
        assert set(service.hosts) <= hosts
        assert {call.to for call in service.calls if call.kind == "endpoint"} <= endpoints
        assert {call.to for call in service.calls if call.kind == "function"} <= functions


def _storm(retries: int | None = None) -> pl.DataFrame:
    """Return how many requests of the storm's scenario fail at its front, window by window; other domains are calm."""
    raw = toml(data_dir() / "scenarios" / "retry-storm.toml")
    if retries is not None:
        raw["incidents"]["services"][1]["calls"][0]["retries"] = retries
    hosts, clock = named(raw["fleet"]).host_ids, Clock.of(raw["start"], raw["timezone"])
    fault = Fault(kind="request_burst", target="front", from_s=3600.0, until_s=4500.0, severity=raw["faults"][0]["severity"])
    model = Model(Settings.model_validate(raw["incidents"]), hosts, ("chat-8b",), (), clock, 10_800.0, [fault], raw["seed"])
    one, sink = np.ones(len(hosts)), Sink({"service": model.service_ids, "host": hosts})
    while model.t_s < 10_800.0:
        model.advance(model.t_s + 30.0, Felt(one > 0.0, one, 30.0 * one, np.ones(1), np.ones(1), np.zeros(0)))
        model.record(sink)
    return sink.frames()["services"].filter(pl.col("service_id").cast(pl.String) == "front")


def test_the_packaged_storm_outlives_its_trigger_and_ends_with_it_without_retries() -> None:
    for retries, outlives in ((None, True), (0, False)):
        rows = _storm(retries)
        before, late = (rows.filter(pl.col("t_s").is_between(*span))["error_share"] for span in ((600.0, 3600.0), (5400.0, 10_800.0)))
        assert before.max() < 0.01  # type: ignore[operator]
        assert late.min() > 0.9 if outlives else late.max() < 0.01  # type: ignore[operator]


@pytest.mark.parametrize("base", ["drill-a", "drill-b"])
def test_without_a_fault_services_keep_far_within_their_objectives(base: str) -> None:
    raw = BASES[base]
    settings, hosts = Settings.model_validate(raw["incidents"]), named(raw["fleet"]).host_ids
    endpoints = tuple(endpoint["id"] for endpoint in raw["serving"]["endpoints"])
    functions = tuple(function["id"] for function in raw["functions"]["functions"])
    model = Model(settings, hosts, endpoints, functions, Clock.of(raw["start"], raw["timezone"]), 10_800.0, (), 1)
    one, sink = np.ones(len(hosts)), Sink({"service": model.service_ids, "host": hosts})
    while model.t_s < 10_800.0:
        calm = Felt(one > 0.0, one, 30.0 * one, np.full(len(endpoints), 4.0), np.ones(len(endpoints)), np.full(len(functions), 0.03))
        model.advance(model.t_s + 30.0, calm)
        model.record(sink)
    worst = dict(sink.frames()["services"].group_by(pl.col("service_id").cast(pl.String)).agg(pl.col("latency_p99_s").max()).iter_rows())
    for service in settings.services:
        assert worst[service.id] < 0.75 * service.latency_p99_objective_s


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "none"])
def test_what_is_drawn_strong_passes_for_provable_and_what_is_drawn_faint_does_not(kind: str) -> None:
    how = KINDS[kind]
    assert all(strong(Fault(kind=kind, target="x", from_s=0.0, severity=severity)) for severity in how.strong)
    assert not any(strong(Fault(kind=kind, target="x", from_s=0.0, severity=severity)) for severity in how.faint or ())


def test_of_kinds_that_are_not_drawn_a_tenth_passes_for_provable() -> None:
    assert strong(Fault(kind="chiller_loss", target="site", from_s=0.0, severity=0.1))
    assert not strong(Fault(kind="chiller_loss", target="site", from_s=0.0, severity=0.05))
