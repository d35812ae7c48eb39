"""Octopus's claims: the numbers they must come to, and that each moves when what it rests on moves."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from policies.systems.octopus import evidence
from policies.systems.octopus.claims import CLAIMS
from twin.memory import planning, saving, sizing
from twin.memory.terms import Terms
from twin.sources import data_dir

CLAIM = {claim.id: claim for claim in CLAIMS}
GIB = 1 << 30
ROOT = Path(__file__).resolve().parents[4]


def test_the_first_version_is_three_times_the_hosts_at_17_percent_less_and_57_under_the_other_table(seen):
    assert evidence.hosts_ratio(seen())[evidence.HOSTS_RATIO] == 3.125
    found = evidence.cost_change(seen())
    assert found[evidence.COST_CHANGE] == pytest.approx(-0.17, abs=0.001)
    assert found["change of cost per host, v3-recalled, all cables alike"] == pytest.approx(-0.566, abs=0.001)
    assert found["(25,4,1), v3-recalled, all cables alike, USD per host"] == pytest.approx(1252.0)
    assert found["fully connected, v3-recalled, all cables alike, USD per host"] == pytest.approx(2882.0)


def test_both_tables_and_both_baselines_stand_beside_ours_by_name(seen):
    priced, netted = evidence.cost_change(seen()), evidence.net(seen())
    assert all(any(name in label for label in priced) for name in evidence.TABLES)
    for words in evidence.WORDS.values():
        assert f"net saving, (25,4,1), against {words}" in netted
    assert netted[evidence.NET] is None, "a site of 30 hosts fills no pod of 96"


def test_fitted_numbers_are_counted_where_they_are_used():
    assert CLAIM["cost-per-host"].fitted_parameters == 1
    assert CLAIM["rpc-rdma"].fitted_parameters == CLAIM["rpc-switch"].fitted_parameters == 2
    assert CLAIM["net-saving"].fitted_parameters == CLAIM["net-switch"].fitted_parameters == 1
    assert CLAIM["hosts"].fitted_parameters == CLAIM["cables"].fitted_parameters == 0
    assert all(claim.fitted_parameters == 0 for claim in CLAIMS if claim.own)


def _numbers(data: Path) -> dict[str, float]:
    """Return what is computed from calibration alone, with another folder of it."""
    code = (
        "import json; from policies.systems.octopus import evidence as e; from twin.memory.settings import Settings; "
        "from twin.memory.levers import TopologyObservation; seen = TopologyObservation((), None, Settings(), None); "
        "longest_m = e.wiring.lay(e.built(e.LARGE), 0.0).longest_m; "
        "print(json.dumps({**e.cost_change(seen), **e.calls(seen), e.LONGEST: longest_m}))"
    )
    environment = {**os.environ, "INTENTWIN_DATA": str(data), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_claims_on_prices_latencies_and_cables_move_with_the_calibration(tmp_path):
    data = tmp_path / "data"
    shutil.copytree(data_dir(), data)
    file = data / "calibration" / "memory.toml"
    text = file.read_text(encoding="utf-8")
    for old, new in (
        ("ports = 8, value = 1276", "ports = 8, value = 2000"),
        ("rpc_rdma_s = { value = 3.5e-6", "rpc_rdma_s = { value = 7.0e-6"),
        ("switch_s = { value = 545e-9", "switch_s = { value = 600e-9"),
        ("rack_pitch_m = { value = 0.6", "rack_pitch_m = { value = 1.2"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    ours, other = _numbers(data_dir()), _numbers(data)
    assert other[evidence.COST_CHANGE] == pytest.approx(1252.0 / (2000.0 + 8 * 29.0) - 1.0)
    assert other[evidence.RDMA_RATIO] == pytest.approx(2.0 * ours[evidence.RDMA_RATIO])
    assert other[evidence.SWITCH_RATIO] == pytest.approx((4 * 600 + 130) / (4 * 267 + 130))
    assert other[evidence.LONGEST] > 1.5 >= ours[evidence.LONGEST]
    assert other["change of cost per host, v3-recalled, all cables alike"] == ours["change of cost per host, v3-recalled, all cables alike"]


def test_net_saving_moves_with_demand_and_prices(seen, past_of):
    past = past_of(96, vms=40)
    ours = evidence.net(seen(past))
    own = "against every host at its own peak"
    for label in ("six islands of 16", "switch pod of 24"):
        by_hand = 0.5 * ours[f"DRAM saved, {label}, {own}"] - ours[f"cost of {label}, USD per host"] / 30_000
        assert ours[f"net saving, {label}, {own}"] == pytest.approx(by_hand)
    assert ours[evidence.SWITCH_NET] == -ours[f"net saving, switch pod of 24, {own}"]
    assert ours[evidence.NET] < ours["DRAM saved, six islands of 16, against every host at its own peak"]
    steady = replace(past, vms=replace(past.vms, memory_bytes=np.full_like(past.vms.memory_bytes, 8 * GIB)))
    assert evidence.net(seen(steady))[evidence.NET] != ours[evidence.NET]
    alike = evidence.net(seen(past, saving_against="uniform_sku"))
    assert alike[evidence.NET] == ours["net saving, six islands of 16, against every host as the worst one"]
    assert ours["net saving, six islands of 16, with the fitted saving and replaced expansion"] == pytest.approx(
        ours["net saving, six islands of 16, with the fitted saving"] + 720 / 30_000
    )


def test_allocators_move_with_demand_and_moving_beats_staying_at_no_headroom(seen, past_of):
    past = past_of(26, vms=80)
    found = evidence.allocators(seen(past))
    assert found[evidence.GREEDY] is not None
    stays, moves = (
        found[f"(25,4,1), {how}: of the ideal against every host at its own peak"]
        for how in ("least loaded, never moved", "moved on overflow, 0% headroom")
    )
    assert moves > stays
    saved = [
        found[f"(25,4,1), moved on overflow, {share}% headroom: of the ideal against every host at its own peak"] for share in (0, 2, 5, 10)
    ]
    assert saved == sorted(saved, reverse=True)
    assert saved[0] > saved[-1]
    assert not any(label.startswith("6 islands") for label in found), "a site of 26 hosts fills no pod of 96"
    assert evidence.allocators(seen(past_of(26, seed=4, vms=80)))[evidence.MOVED] != found[evidence.MOVED]


def test_topology_loses_nothing_until_one_host_asks_for_more_than_its_devices_share(seen, past_of):
    past = past_of(26, vms=80)
    assert evidence.topology(seen(past))[evidence.EVEN] == pytest.approx(1.0)
    one = past.events.host == 0
    larger = past.vms.memory_bytes.copy()
    larger[np.unique(past.events.vm[one])] *= 40
    lone = replace(past, vms=replace(past.vms, memory_bytes=larger))
    assert evidence.topology(seen(lone))[evidence.EVEN] > 1.1


def test_on_the_real_trace_the_finding_is_what_the_claims_say(test_data):
    azure = runpy.run_path(str(ROOT / "tests" / "azure.py"))
    from policies.baselines.pickers import least_loaded

    terms, warm_s = Terms(0.5, GIB), 3 * 86_400.0
    for seed in (1, 2, 3):
        past = azure["past"](azure["traced"](test_data, 384, seed), 384, seed)
        found = {}
        for name in (evidence.PODS[0], evidence.SMALL, evidence.LARGE):
            pod = evidence.built(name)
            sizes = sizing.pod_slices(pod, past, terms, evidence.HEADROOM, from_s=warm_s)
            stays = planning.replay(pod, past, terms, least_loaded, False, None, from_s=warm_s)
            moves = planning.replay(pod, past, terms, least_loaded, True, sizes, from_s=warm_s)
            found[name] = tuple(saving.saving(done, "sum_of_peaks") for done in (stays, moves))
            assert not moves.overflow_events.any()
        assert 0.61 <= found[evidence.SMALL][0].of_ideal <= 0.69
        assert all(0.81 <= moved.of_ideal <= 0.87 for _, moved in found.values())
        assert 0.11 <= found[evidence.LARGE][1].total_share <= 0.14
        assert stays.host_peak_slices.mean() / stays.host_series.mean() == pytest.approx(1.8, abs=0.1)
