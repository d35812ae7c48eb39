"""A found cause leads to intents that the reader reads and systems serve, or to an honest word that none would help."""

from datetime import datetime
from math import nan
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from policies.intent.check import check
from policies.intent.compile import compile_intent
from policies.intent.propose import MOST, Facts, proposed, unpreventable
from twin.clock import Clock
from twin.fleet_file import named
from twin.incidents.case import Incident
from twin.incidents.causes import CAUSES
from twin.incidents.trajectory import Hypothesis
from twin.incidents.watching import ALERTS
from twin.plant.hardware import server_models

ONSET_S = 3600.0
PHOENIX = ZoneInfo("America/Phoenix")
FLEET = named("example")
# Where each class of cause strikes in the example, and whether a lever meets it whatever the symptom is.
STRUCK = {
    "air_handler_lost": ("aisle-1", True),
    "chiller_lost": ("site", True),
    "ups_lost": (FLEET.ups_ids[0], True),
    "pdu_lost": (FLEET.pdu_ids[0], True),
    "rack_blocked": ("rack-3", True),
    "sensor_drift": ("server-4", False),
    "gpu_throttled": ("server-4", False),
    "gpu_lost": ("server-4", False),
    "instance_lost": ("chat-70b/2", False),
    "power_cap_wrong": ("row-1", True),
    "policy_change_wrong": ("site", False),
    "slow_nic": ("host-1", False),
    "noisy_neighbour": ("host-1", False),
    "memory_leak": ("cart", False),
    "bad_deployment": ("cart", False),
    "certificate_expired": ("cart", False),
    "traffic_burst": ("cart", False),
    "retry_storm": ("cart", False),
    "cxl_link_lost": ("host-1", True),
    "cxl_device_lost": ("pod-1/device-2", True),
    "cxl_switch_lost": ("pod-1/switch-1", True),
    "cold_start_storm": ("resize-image", True),
    "hint_flood": ("web-frontend", False),
    "none": ("", False),
}


def incident(entity="front", kind="service", metric="services.latency_p99_s", affected=()):
    return Incident("i-1", "t", "t", "major", kind, entity, metric, ONSET_S, ONSET_S + 300.0, 1.7e9, affected)


def hypothesis(cause, entity, path=()):
    return Hypothesis(CAUSES[cause].entity_kind, entity, cause, "m", path, ONSET_S - 300.0, 0.8)


@pytest.fixture(scope="module")
def facts(site):
    clock = Clock(datetime(2026, 7, 14, 12, 30, tzinfo=PHOENIX))
    return Facts(FLEET, clock, ONSET_S + 7200.0, site.entities["endpoint"], site.entities["function"])


def read_whole(words, read, site):
    """Hold that words are read without a question, into one bound that some system is given; return the bound."""
    found = read(words)
    assert not found.findings, (words, found.findings)
    (wish,) = found.intent.expectations
    done = compile_intent(found.intent, site)
    assert done.policy.levers, words
    assert not [each for each in (*done.findings, *check(found.intent, site)) if each.severity != "info"], words
    return found.intent, wish


def test_every_class_of_cause_is_met():
    assert set(STRUCK) == set(CAUSES)


@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_each_cause_leads_to_intents_that_are_read_or_to_an_honest_no(cause, facts, read, site):
    entity, met = STRUCK[cause]
    found = proposed(hypothesis(cause, entity), incident(), facts)
    assert bool(found) == met
    assert len(found) <= MOST
    for each in found:
        read_whole(each.words, read, site)
        assert each.why.startswith(f"{CAUSES[cause].title} at {entity} (likely, not confirmed): ")
    if not met:
        assert unpreventable(cause).startswith("No lever prevents this, because ")
        assert "no class of cause is known" not in unpreventable(cause)


@pytest.mark.parametrize("cause", sorted(set(CAUSES) - {"none"}))
def test_an_endpoint_that_suffers_is_held_to_its_objective_whatever_broke(cause, facts, read, site):
    at = incident("chat-70b", "endpoint", "endpoints.slo_share")
    words = [each.words for each in proposed(hypothesis(cause, STRUCK[cause][0]), at, facts)]
    assert "at least 95 % of the requests to chat-70b within SLO from 13:00 to 16:00" in words
    for each in words:
        read_whole(each, read, site)


def test_a_lost_air_handler_asks_for_cool_rows_in_the_hours_of_the_incident(facts, read, site):
    first = proposed(hypothesis("air_handler_lost", "aisle-1/air-handler-1"), incident(), facts, "confirmed")[0]
    intent, wish = read_whole(first.words, read, site)
    rows = {FLEET.row_ids[i] for i in range(len(FLEET.row_ids)) if FLEET.row_aisles[i] == 0}
    assert wish.metric == "plant.gpu_temp_max_c"
    assert {scope.id for scope in intent.scope_of(wish)} == rows & {FLEET.row_ids[i] for i in set(FLEET.server_rows.tolist())}
    limits = server_models(FLEET)["limit_c"][FLEET.server_models]
    assert 80.0 < wish.value < limits.min()
    assert intent.window_of(wish).words() == "from 13:00 to 16:00"
    assert "(confirmed)" in first.why


def test_rows_that_lose_a_unit_are_held_at_what_the_others_carry(facts, read, site):
    found = proposed(hypothesis("ups_lost", FLEET.ups_ids[0]), incident(), facts)
    bounds = [read_whole(each.words, read, site)[1] for each in found]
    left = (len(FLEET.ups_ids) - 1) / len(FLEET.ups_ids)
    assert [wish.metric for wish in bounds] == ["plant.row_power_peak_w"] * 2 + ["plant.power_throttle_events"]
    budgets_w = sorted({float(FLEET.row_power_budgets_w[row]) for row in FLEET.server_rows.tolist()})
    assert [wish.value for wish in bounds[:2]] == pytest.approx([budget_w * left for budget_w in budgets_w], rel=0.01)


@pytest.mark.parametrize(
    ("entity", "kind", "metric", "said"),
    [
        ("resize-image", "function", "functions.latency_p99_s", "functions.latency_p99_s"),
        ("host-3", "host", "memory_hosts.spilled_bytes", "memory.overflow_events"),
        ("search", "workload", "notices.late", "workloads.notices_honoured_share"),
        ("row-2", "row", "rows.throttled_gpu_share", "plant.throttled_gpu_share"),
        ("row-2", "row", "rows.power_w", "plant.row_power_peak_w"),
    ],
)
def test_what_the_alert_read_is_held_to_its_bound(entity, kind, metric, said, facts, read, site):
    (only,) = proposed(hypothesis("policy_change_wrong", "site"), incident(entity, kind, metric), facts)
    _, wish = read_whole(only.words, read, site)
    assert wish.metric == said


def test_every_row_of_a_fleet_can_be_named(facts, read, site):
    for row in {FLEET.row_ids[i] for i in FLEET.server_rows.tolist()}:
        for each in proposed(hypothesis("power_cap_wrong", row), incident(), facts):
            intent, wish = read_whole(each.words, read, site)
            assert [scope.id for scope in intent.scope_of(wish)] == [row]


def test_nothing_is_proposed_from_an_answer_that_is_none(facts):
    assert proposed(hypothesis("air_handler_lost", "aisle-1"), incident(), facts, "inconclusive") == ()
    nameless = Hypothesis("row", "row-1", "", "m", (), nan, 0.4)
    assert proposed(nameless, incident(), facts) == ()


def test_bounds_and_the_end_come_from_the_runs_alerts_up_to_then(site):
    def row(t_s, state, number, bound):
        told = {"t_s": t_s, "state": state, "alert": number, "incident_id": "i-1", "since_s": ONSET_S, "entity_kind": "function"}
        last = {"value": 1.0, "bound": bound, "severity": "major", "words": ""}
        return told | {"entity_id": "resize-image", "metric": "functions.latency_p99_s"} | last

    alerts = pl.DataFrame(
        [row(3900.0, "fired", 0, 0.25), row(5000.0, "cleared", 0, 0.25), row(9000.0, "fired", 1, 0.5)],
        schema={column.name: column.dtype for column in ALERTS.columns},
    )
    clock = Clock(datetime(2026, 7, 14, 12, tzinfo=PHOENIX))
    told = incident("resize-image", "function", "functions.latency_p99_s")
    early, late = (Facts.of(FLEET, clock, site.entities, alerts, told, as_of_s) for as_of_s in (6000.0, 10_000.0))
    assert (early.bound("functions.latency_p99_s", "resize-image"), early.until_s) == (0.25, 5000.0)
    assert (late.bound("functions.latency_p99_s", "resize-image"), late.until_s) == (0.5, 10_000.0)
    assert Facts.of(FLEET, clock, site.entities, alerts.clear(), told, 6000.0).until_s == 6000.0


def test_an_incident_of_a_whole_day_has_no_hours(facts):
    whole = Facts(facts.fleet, facts.clock, ONSET_S + 30 * 3600.0, facts.endpoint_ids, facts.function_ids)
    assert " from " not in proposed(hypothesis("air_handler_lost", "aisle-1"), incident(), whole)[0].words
