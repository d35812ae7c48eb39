"""Services over a run: calm days, what each fault moves and what it leaves alone, snapshots."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from twin.clock import Clock
from twin.faults import Fault
from twin.incidents.model import FAULT_KINDS, Felt, Model
from twin.incidents.readings import CHANGES, LOGS, SERVICE_HOSTS, SERVICES, by_service, by_template
from twin.incidents.settings import Settings
from twin.tables import Sink

HOSTS = tuple(f"host-{n}" for n in range(1, 7))
FROM_S, UNTIL_S, END_S = 3600.0, 7200.0, 9000.0
# Two of each ten requests buy something; suggestions come from a language model, pictures from a function.
SHOP: tuple[Mapping[str, Any], ...] = (
    {
        "id": "front", "hosts": HOSTS[:2], "rate_per_s": 400.0, "service_s": 0.003, "latency_p99_objective_s": 2.0,
        "calls": [
            {"to": "search"}, {"to": "checkout", "times": 0.2}, {"to": "suggest", "kind": "endpoint", "times": 0.02, "timeout_s": 30.0},
        ],
    },
    {"id": "search", "hosts": HOSTS[1:3], "calls": [{"to": "catalogue", "times": 2.0}]},
    {"id": "checkout", "hosts": HOSTS[2:4], "service_s": 0.012, "calls": [{"to": "payments"}, {"to": "orders"}]},
    {"id": "payments", "hosts": HOSTS[3:5], "service_s": 0.018, "calls": [{"to": "ledger"}]},
    {"id": "orders", "hosts": HOSTS[4:6], "service_s": 0.015, "calls": [{"to": "ledger"}, {"to": "resize", "kind": "function"}]},
    {"id": "catalogue", "hosts": (HOSTS[0], HOSTS[5]), "cores": 4.0},
    {"id": "ledger", "hosts": HOSTS[4:6], "service_s": 0.01},
)  # fmt: skip
CALM = Felt(np.ones(6, dtype=np.bool_), np.ones(6), np.full(6, 32.0), np.array([2.0]), np.array([0.99]), np.array([0.05]))
Run = dict[str, pl.DataFrame]


def built(faults: Sequence[Fault] = (), seed: int = 3, **settings: Any) -> Model:
    held = Settings(services=tuple(SHOP), **settings)  # type: ignore[arg-type]
    return Model(held, HOSTS, ("suggest",), ("resize",), Clock(datetime(2026, 3, 2, 10, tzinfo=UTC)), END_S, faults, seed)


def went(model: Model, end_s: float = END_S, felt: Callable[[float], Felt] = lambda _: CALM, tick_s: float = 60.0) -> Run:
    sink = Sink({"service": model.service_ids, "host": ("elsewhere", *HOSTS)})
    while model.t_s < end_s:
        model.advance(min(model.t_s + tick_s, end_s), felt(model.t_s))
        model.record(sink)
    model.close(sink)
    return sink.frames()


@pytest.fixture(scope="module")
def calm() -> Run:
    return went(built())


def _struck(kind: str, target: str, severity: float, seed: int = 3) -> Run:
    return went(built([Fault(kind=kind, target=target, from_s=FROM_S, until_s=UNTIL_S, severity=severity)], seed))


def _mean(run: Run, entity: str, column: str, from_s: float = FROM_S, to_s: float = UNTIL_S, table: str = "services") -> float:
    key = run[table].columns[1]
    rows = run[table].filter((pl.col(key).cast(pl.String) == entity) & (pl.col("t_s") > from_s) & (pl.col("t_s") <= to_s))
    return float(np.nanmean(rows[column].to_numpy()))


def _said(run: Run, entity: str, words: str, from_s: float = FROM_S, to_s: float = UNTIL_S) -> int:
    rows = run["logs"].filter((pl.col("entity_id") == entity) & (pl.col("t_s") > from_s) & (pl.col("t_s") <= to_s))
    return int(rows.filter(pl.col("words").str.contains(words, literal=True))["count"].sum())


def _unmoved(run: Run, calm: Run, entities: Sequence[str], columns: Sequence[str], within: float = 0.04) -> None:
    for entity in entities:
        for column in columns:
            assert _mean(run, entity, column) == pytest.approx(_mean(calm, entity, column), rel=within), (entity, column)


# -- ordinary days ------------------------------------------------------------------------------


def test_without_faults_no_service_leaves_its_objectives(calm: Run) -> None:
    objectives = pl.DataFrame([(s["id"], s.get("latency_p99_objective_s", 0.5)) for s in SHOP], ["service_id", "bound_s"], orient="row")
    rows = calm["services"].with_columns(pl.col("service_id").cast(pl.String)).join(objectives, on="service_id")
    assert rows.height == 7 * 150
    assert (rows["latency_p99_s"] < rows["bound_s"]).mean() > 0.999
    assert rows["error_share"].max() < 0.01
    assert rows["restarts"].sum() == 0


def test_every_service_is_asked_what_its_callers_serve(calm: Run) -> None:
    front = _mean(calm, "front", "requests_per_s")
    for service, times in (("search", 1.0), ("checkout", 0.2), ("payments", 0.2), ("ledger", 0.4), ("catalogue", 2.0)):
        assert _mean(calm, service, "offered_per_s") == pytest.approx(times * front, rel=0.01)


def test_cores_in_use_are_requests_times_core_time(calm: Run) -> None:
    assert _mean(calm, "payments", "cpu_share") * 4.0 == pytest.approx(_mean(calm, "payments", "requests_per_s") * 0.018, rel=0.02)
    model = built()
    went(model, 1800.0)
    served = [model._rates[29, 0] * times for times in (1.0, 1.0, 0.2, 0.2, 0.2, 2.0, 0.4)]
    times_s = (0.003, 0.004, 0.012, 0.018, 0.015, 0.004, 0.01)
    assert model.host_cores().sum() == pytest.approx(np.dot(served, times_s), rel=0.05)


def test_telemetry_wavers_by_two_percent(calm: Run) -> None:
    steal = calm["service_hosts"]["steal_share"].to_numpy()
    assert np.std(np.log(steal)) == pytest.approx(0.02, rel=0.1)
    assert np.mean(steal) == pytest.approx(0.003, rel=0.01)


def test_the_day_swings_and_a_burst_comes_on_top() -> None:
    held = Settings(services=({"id": "web", "hosts": HOSTS[:1], "rate_per_s": 100.0, "swing_share": 0.5, "peak_hour": 14.0},))  # type: ignore[arg-type]
    model = Model(held, HOSTS, (), (), Clock(datetime(2026, 3, 2, tzinfo=UTC)), 86_400.0, (), 1)
    hours = model._rates[:, 0].reshape(24, 60).mean(axis=1)
    assert hours[13:15].mean() == pytest.approx(150.0, rel=0.05)
    assert hours[1:3].mean() == pytest.approx(50.0, rel=0.05)
    longer = Model(held, HOSTS, (), (), Clock(datetime(2026, 3, 2, tzinfo=UTC)), 172_800.0, (), 1)
    assert np.array_equal(longer._rates[:1440], model._rates)


def test_windows_of_half_a_minute_tell_the_same_means(calm: Run) -> None:
    """Within 3 %: the noise of demand is drawn anew, its laws are the same."""
    shorter = went(built(window_s=30.0), tick_s=30.0)
    _unmoved(shorter, calm, ("front", "payments", "ledger"), ("requests_per_s", "cpu_share", "latency_p50_s", "memory_share"), within=0.03)


def test_changes_are_innocent_and_name_what_is_there() -> None:
    run = went(built(changes_per_day=400.0))
    changes = run["changes"]
    assert 20 < changes.height < 70
    assert set(changes["entity_id"]) <= {*HOSTS, *(str(s["id"]) for s in SHOP), "suggest", "resize"}
    assert changes["t_s"].is_sorted()
    assert_frame_equal(run["services"], went(built(changes_per_day=0.0))["services"])


# -- signatures of faults ------------------------------------------------------------------------


def test_a_leak_fills_memory_until_the_instance_is_killed(calm: Run) -> None:
    run = _struck("memory_leak", "payments", 1.0)
    assert _mean(run, "payments", "memory_share") > _mean(calm, "payments", "memory_share") + 0.2
    assert _mean(run, "payments", "cpu_share") > _mean(calm, "payments", "cpu_share") * 1.03
    assert _mean(run, "payments", "restarts") * 60 >= 2
    assert _said(run, "payments", "out of memory") == round(_mean(run, "payments", "restarts") * 60)
    assert _said(run, "payments", "garbage collection") > 5
    assert _said(run, "payments", "connection reset") > 0
    rows = run["services"].filter((pl.col("service_id") == "payments") & (pl.col("t_s") > FROM_S) & (pl.col("t_s") <= UNTIL_S))
    # Pauses lengthen the tail well before the kill; what was sent to the dead instance shows as one window with errors.
    assert (rows["latency_p99_s"] > 0.5).sum() > 5
    assert 0.02 < rows["error_share"].max() < 0.2
    _unmoved(run, calm, ("search", "catalogue", "ledger"), ("latency_p50_s", "cpu_share", "memory_share", "offered_per_s"))


def test_a_bad_version_is_slow_or_fails_and_is_in_the_change_log(calm: Run) -> None:
    shown = {"slow": 0, "fails": 0}
    for seed in range(3, 9):
        run, still = _struck("bad_deployment", "orders", 0.3, seed), went(built(seed=seed))
        fails = _mean(run, "orders", "error_share") > 0.1
        shown["fails" if fails else "slow"] += 1
        if fails:
            assert _mean(run, "orders", "error_share") == pytest.approx(0.15, rel=0.05)
            assert _said(run, "orders", "unhandled exception") > 1000
            assert _mean(run, "orders", "retries_per_s") > 5.0
        else:
            assert _mean(run, "orders", "cpu_share") == pytest.approx(1.9 * _mean(still, "orders", "cpu_share"), rel=0.05)
            assert _mean(run, "orders", "error_share") < 0.01
            assert _mean(run, "orders", "latency_p50_s") > 1.2 * _mean(still, "orders", "latency_p50_s")
        words = run["changes"].filter((pl.col("entity_id") == "orders") & pl.col("t_s").is_in([FROM_S, UNTIL_S]))["words"].to_list()
        assert "rolled out" in words[0]
        assert "rolled back" in words[1]
        _unmoved(run, still, ("search", "catalogue"), ("latency_p50_s", "error_share", "cpu_share"), within=0.1)
        assert _mean(run, "orders", "latency_p99_s", 7800.0, END_S) == pytest.approx(
            _mean(still, "orders", "latency_p99_s", 7800.0, END_S), rel=0.05
        )
    assert min(shown.values()) > 0


def test_an_expired_certificate_silences_the_service_and_fails_its_callers(calm: Run) -> None:
    run = _struck("certificate_expired", "ledger", 1.0)
    assert _mean(run, "ledger", "offered_per_s") == 0.0
    assert _mean(run, "ledger", "cpu_share") == 0.0
    assert _mean(run, "ledger", "error_share") == 0.0
    for caller in ("payments", "orders"):
        assert _mean(run, caller, "error_share") > 0.95
        assert _said(run, caller, "tls handshake with ledger refused: x509") > 10_000
        assert _said(run, caller, "tls handshake", 0.0, FROM_S) == 0
    assert _mean(run, "checkout", "retries_per_s") > 5.0
    _unmoved(run, calm, ("search", "catalogue"), ("error_share", "latency_p50_s"), within=0.15)


def test_an_expired_certificate_of_what_the_outside_asks_is_seen_there() -> None:
    run = _struck("certificate_expired", "front", 1.0)
    assert _mean(run, "front", "error_share") > 0.95
    assert _mean(run, "front", "requests_per_s") == 0.0
    assert _said(run, "front", "client refused the certificate") > 10_000


def test_a_burst_is_asked_for_and_carried_to_all_below(calm: Run) -> None:
    run = _struck("request_burst", "front", 0.2)
    for service in ("front", "search", "checkout", "ledger"):
        assert _mean(run, service, "offered_per_s") == pytest.approx(1.6 * _mean(calm, service, "offered_per_s"), rel=0.03)
        assert _mean(run, service, "cpu_share") > 1.5 * _mean(calm, service, "cpu_share")
    assert _said(run, "front", "far above forecast") == 60
    assert _mean(run, "front", "memory_share") == pytest.approx(_mean(calm, "front", "memory_share"), abs=0.03)


def test_a_slow_card_lengthens_calls_of_its_host_and_no_core_time(calm: Run) -> None:
    run = _struck("slow_nic", "host-5", 0.3)
    assert _mean(run, "host-5", "network_latency_s", table="service_hosts") == pytest.approx(0.0302, rel=0.02)
    # Half of payments is there, half of the ledger that it calls: half of 30 ms each.
    added = _mean(run, "payments", "latency_p50_s") - _mean(calm, "payments", "latency_p50_s")
    assert 0.015 < added < 0.035
    assert _said(run, "host-5", "tcp segments retransmitted") > 0
    _unmoved(run, calm, tuple(str(s["id"]) for s in SHOP), ("cpu_share", "offered_per_s", "error_share"))
    _unmoved(run, calm, ("search", "catalogue", "ledger"), ("latency_p50_s",))


def test_a_neighbour_steals_cores_of_one_host(calm: Run) -> None:
    run = _struck("noisy_neighbour", "host-5", 0.6)
    assert _mean(run, "host-5", "steal_share", table="service_hosts") == pytest.approx(0.54, rel=0.02)
    assert _mean(run, "host-6", "steal_share", table="service_hosts") == pytest.approx(0.003, rel=0.02)
    for service in ("payments", "orders", "ledger"):
        assert _mean(run, service, "latency_p50_s") > 1.1 * _mean(calm, service, "latency_p50_s")
    assert _said(run, "host-5", "cpu steal") == 60
    _unmoved(run, calm, ("search", "catalogue"), ("latency_p50_s", "cpu_share"))
    _unmoved(run, calm, ("payments", "orders", "ledger"), ("cpu_share", "offered_per_s"))


def test_a_worse_fault_is_felt_more() -> None:
    latencies = [_mean(_struck("noisy_neighbour", "host-5", size), "ledger", "latency_p99_s") for size in (0.2, 0.5, 0.8)]
    assert latencies == sorted(latencies)


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_nothing_moves_before_a_fault_begins(kind: str, calm: Run) -> None:
    run = _struck(kind, "host-5" if kind in ("slow_nic", "noisy_neighbour") else "front", 0.5)
    for table in ("services", "service_hosts", "logs"):
        before = pl.col("t_s") <= FROM_S
        assert_frame_equal(run[table].filter(before), calm[table].filter(before), check_exact=True)


def test_a_fault_that_cannot_strike_is_refused() -> None:
    for kind, target, words in (
        ("memory_leak", "host-1", "no service"),
        ("slow_nic", "front", "no host"),
        ("request_burst", "ledger", "rate_per_s"),
        ("ahu_loss", "front", "not of services"),
    ):
        with pytest.raises(ValueError, match=words):
            built([Fault(kind=kind, target=target, from_s=0.0)])


def _shop(**limits: float) -> tuple[dict[str, Any], ...]:
    """Return the shop with other limits on repetitions, of callers and of the outside."""
    calls = {"retries": int(limits["retries"]), "retry_budget_share": limits["budget"]}
    return tuple({**service, "calls": [{**call, **calls} for call in service.get("calls", ())]} for service in SHOP)


@pytest.mark.parametrize(("retries", "budget", "outlives"), [(3, 10.0, True), (3, 0.2, False), (0, 10.0, False)])
def test_a_burst_leaves_a_storm_behind_only_where_retries_have_no_limit(retries: int, budget: float, outlives: bool) -> None:
    burst = Fault(kind="request_burst", target="front", from_s=FROM_S, until_s=FROM_S + 900.0, severity=0.5)
    held = Settings(services=_shop(retries=retries, budget=budget))  # type: ignore[arg-type]
    run = went(Model(held, HOSTS, ("suggest",), ("resize",), Clock(datetime(2026, 3, 2, 10, tzinfo=UTC)), END_S, [burst], 3))
    assert _mean(run, "front", "error_share", FROM_S + 300.0, FROM_S + 900.0) > 0.5
    afterwards = _mean(run, "front", "error_share", UNTIL_S, END_S)
    assert afterwards > 0.9 if outlives else afterwards < 0.01


# -- what comes from other domains ----------------------------------------------------------------


def _from(t_s: float, changed: Felt) -> Callable[[float], Felt]:
    return lambda now_s: changed if FROM_S <= now_s < t_s else CALM


def test_a_slow_endpoint_is_felt_by_who_calls_it(calm: Run) -> None:
    run = went(built(), felt=_from(UNTIL_S, replace(CALM, endpoint_e2e_s=np.array([25.0]), endpoint_met_share=np.array([0.3]))))
    assert _mean(run, "front", "latency_p99_s") > 1.5 * _mean(calm, "front", "latency_p99_s")
    assert _said(run, "front", "answer of suggest outside its objectives") > 1000
    _unmoved(run, calm, ("search", "checkout"), ("latency_p50_s", "error_share"))


def test_an_endpoint_that_answers_nobody_is_an_error() -> None:
    run = went(built(), felt=_from(UNTIL_S, replace(CALM, endpoint_e2e_s=np.array([np.nan]), endpoint_met_share=np.array([0.0]))))
    assert _mean(run, "front", "error_share") == pytest.approx(0.02, rel=0.1)
    assert _said(run, "front", "call to suggest given up") > 1000


def test_a_function_that_starts_cold_is_felt_by_who_calls_it(calm: Run) -> None:
    run = went(built(), felt=_from(UNTIL_S, replace(CALM, function_latency_s=np.array([0.5]))))
    assert _mean(run, "orders", "latency_p50_s") > _mean(calm, "orders", "latency_p50_s") + 0.2
    _unmoved(run, calm, ("payments", "ledger"), ("latency_p50_s",))


def test_slow_cores_take_longer_and_are_busier(calm: Run) -> None:
    run = went(built(), felt=_from(UNTIL_S, replace(CALM, host_speed=np.array([1.0, 1.0, 1.0, 1.0, 0.7, 0.7]))))
    assert _mean(run, "ledger", "cpu_share") == pytest.approx(_mean(calm, "ledger", "cpu_share") / 0.7, rel=0.03)
    assert _mean(run, "ledger", "latency_p50_s") > 1.3 * _mean(calm, "ledger", "latency_p50_s")
    _unmoved(run, calm, ("search", "checkout"), ("cpu_share", "offered_per_s"))


def test_a_lost_host_leaves_its_load_to_the_others(calm: Run) -> None:
    live = np.array([True, True, True, True, False, True])
    run = went(built(), felt=_from(UNTIL_S, replace(CALM, host_live=live)))
    assert _mean(run, "host-5", "cpu_share", table="service_hosts") == 0.0
    assert _mean(run, "host-6", "cpu_share", table="service_hosts") > 1.3 * _mean(calm, "host-6", "cpu_share", table="service_hosts")
    assert run["services"].filter(pl.col("service_id") == "ledger")["restarts"].sum() == 1


def test_cores_that_others_hold_are_missed(calm: Run) -> None:
    run = went(built(), felt=_from(UNTIL_S, replace(CALM, host_free_cores=np.array([32.0, 32.0, 32.0, 32.0, 3.0, 32.0]))))
    assert _mean(run, "host-5", "steal_share", table="service_hosts") == pytest.approx(0.5, rel=0.05)
    assert _mean(run, "ledger", "latency_p50_s") > _mean(calm, "ledger", "latency_p50_s")


# -- a run ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("window_s", [45.0, 60.0])
def test_going_on_from_a_snapshot_gives_the_same_tables(window_s: float) -> None:
    """The snapshot falls into a leak, a burst and, at 45 s, into a window; ticks change as a world's do."""
    faults = [
        Fault(kind="memory_leak", target="payments", from_s=600.0),
        Fault(kind="request_burst", target="front", from_s=1200.0, until_s=2000.0, severity=0.5),
    ]
    felt = _from(2400.0, replace(CALM, endpoint_e2e_s=np.array([np.nan])))
    whole, first, second = (built(faults, window_s=window_s, changes_per_day=400.0) for _ in range(3))
    rows = went(whole, 4500.0, felt, 15.0)
    went(first, 1500.0, felt, 15.0)
    second.restore(first.snapshot())
    rest = went(second, 4500.0, felt, 15.0)
    for name, frame in rest.items():
        kept = rows[name].filter(pl.col("t_s") >= 1500.0 if name == "changes" else pl.col("t_s") > 1500.0)
        assert_frame_equal(frame, kept, check_exact=True)
    assert set(rest) == {table.name for table in (SERVICES, SERVICE_HOSTS, LOGS, CHANGES)}


def test_the_same_seed_gives_the_same_tables_and_another_one_others(calm: Run) -> None:
    again, other = went(built()), went(built(seed=4))
    for name, frame in again.items():
        assert_frame_equal(frame, calm[name], check_exact=True)
    assert not other["services"].equals(calm["services"])


def test_longer_ticks_give_the_same_windows(calm: Run) -> None:
    run = went(built(), tick_s=300.0)
    for name in ("services", "logs"):
        assert_frame_equal(run[name], calm[name], check_exact=True)


def test_without_services_nothing_is_done_or_written() -> None:
    model = Model(Settings(), HOSTS, (), (), Clock(datetime(2026, 3, 2, tzinfo=UTC)), END_S, (), 1)
    assert not model.holds
    assert went(model) == {}
    assert (model.host_cores() == 0.0).all()


def test_what_a_service_names_must_be_there() -> None:
    held = Settings(services=({"id": "web", "hosts": ("host-9",)},))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'host-9' is no host"):
        Model(held, HOSTS, (), (), Clock(datetime(2026, 3, 2, tzinfo=UTC)), END_S, (), 1)


def test_the_page_reads_services_and_templates() -> None:
    run = _struck("certificate_expired", "ledger", 1.0)
    rows = by_service(run["services"].lazy(), FROM_S, UNTIL_S)
    assert rows["service_id"].to_list() == sorted(str(s["id"]) for s in SHOP)
    assert rows.filter(pl.col("service_id") == "payments")["error_share"][0] > 0.95
    said = by_template(run["logs"].lazy(), FROM_S, UNTIL_S).filter(pl.col("template").str.contains("x509"))
    assert set(said["entity_id"]) == {"payments", "orders"}
    assert said["first_s"].min() == FROM_S + 60.0
