"""The Memory page on stored runs: what was asked of memory, every pod by cost and saving, ways to fill one."""

import re
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from app import jobs, pods, state, work
from app.charts.options import BEATEN, BEST, MISSED
from app.views.memory import allocators, demand, front, kept
from policies import study, variants
from policies.policy import Held, PolicySet
from policies.system import Target
from twin.memory.settings import Settings

DESIGN = "block-design-25x8n4"
PARTS = """
from app import pods, state
from app.views.memory import allocators, demand, front, reading
state.publish()
now = state.context()
draft = pods.draft(reading.settings_of(now))
found = pods.find(draft.ask)
front.front(now, draft, found)
front.listed(now, draft, found)
demand.demand(now)
allocators.allocators(now, draft, found)
"""


def _words(at: AppTest) -> str:
    return re.sub(r"<[^>]+>", " ", " ".join(element.proto.body for element in at.get("html")))


@pytest.fixture(scope="module")
def pooled(store: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The small store with a third run: pods of 25 hosts without headroom, which overflow."""
    home = tmp_path_factory.mktemp("memory") / "home"
    shutil.copytree(store.home, home)
    scenario = variants.scenario_of(store.today, home)
    held = Held(system="octopus", knobs={"design": DESIGN, "headroom_share": 0.0})
    run = study.run(scenario, PolicySet(name="pods", levers={"pod_topology": (held,)}), scenario.seed, home)
    return home, run


@pytest.fixture
def home(pooled: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INTENTWIN_HOME", str(pooled[0]))
    return pooled[0]


def _answered(kind: str, asked: dict[str, Any], home: Path) -> dict[str, Any]:
    """Leave the answer to a question in the store, as a worker does."""
    place = jobs.folder(home) / f"20260714-0015{len(list(jobs.folder(home).iterdir())):02d}-abcdef"
    place.mkdir()
    jobs.write(place / "spec.json", {"kind": kind, "spec": asked, "home": str(home), "created_s": 1.0})
    report = jobs.Reporter(place)
    result = work.KINDS[kind](asked, home, report)
    report.put("done", done_share=1.0, text="done", result=result)
    return result


def _at(home: Path, run: str | None = None, **query: str) -> AppTest:
    at = AppTest.from_string(PARTS, default_timeout=120)
    for name, value in {**({"run": run} if run else {"show": "today"}), **query}.items():
        at.query_params[name] = value
    return at.run()


def test_a_run_without_a_pod_says_so_and_shows_what_hosts_need(home: Path) -> None:
    at = _at(home)
    assert not at.exception
    words = _words(at)
    assert "Today’s policy has no pool: this is what hosts need" in words
    assert re.search(
        r"96 hosts need [\d.]+\u00a0TB together at most, at \d\d:\d\d; each for its own peak [\d.]+\u00a0TB, \d+\u00a0% more", words
    )
    assert len(at.get("plotly_chart")) == 1


def test_a_run_with_pods_shows_demand_against_capacity_and_the_spread_over_devices(home: Path, pooled: tuple[Path, str]) -> None:
    at = _at(home, pooled[1], device="device-3")
    assert not at.exception
    words = _words(at)
    assert re.search(
        r"The pool is \d+\u00a0% full at most, at \d\d:\d\d; (nothing overflows|[\d\u00a0]+ VMs? finds? too little room)", words
    )
    assert f"Three pods of 25 hosts and 50 devices ({DESIGN}), “pods”" in words
    assert re.search(r"Device \d+ (is full|comes to \d+\u00a0%) at \d\d:\d\d", words)
    assert "Device 3:" in words
    specs = [chart.proto.spec for chart in at.get("plotly_chart")]
    assert any('"device-3"' in spec for spec in specs)


def test_the_pool_adds_up_to_what_hosts_asked_and_devices_hold(home: Path, pooled: tuple[Path, str]) -> None:
    frame = demand.pooled(str(home), pooled[1])
    hosts, devices = (state.table(pooled[1], name) for name in ("memory_hosts", "memory_devices"))
    assert frame["held_bytes"].sum() == hosts["pooled_bytes"].sum()
    assert (frame["wanted_bytes"] - frame["held_bytes"]).sum() == hosts["spilled_bytes"].sum()
    assert frame["capacity_bytes"].sum() == devices["capacity_bytes"].sum()
    over, fullest = demand.spread(str(home), pooled[1])
    assert (over["least_bytes"] <= over["median_bytes"]).all()
    assert (over["median_bytes"] <= over["most_bytes"]).all()
    share = devices.with_columns((pl.col("used_bytes") / pl.col("capacity_bytes")).alias("share"))
    most = share.filter(pl.col("device_id").cast(pl.String) == fullest)["share"].max()
    assert most == share["share"].max()


def test_before_they_are_asked_the_front_and_the_allocators_offer_themselves(home: Path) -> None:
    at = _at(home)
    assert [button.label for button in at.button] == ["Work out every pod", "Compare allocators"]


def test_the_front_is_worked_out_once_kept_for_every_policy_of_the_world_and_a_pod_is_picked(
    store: Any, pooled: tuple[Path, str], home: Path
) -> None:
    now = state.Context("example", store.today, None, "today", 7, 0.0, 2400.0, state.run(store.today).clock, None)
    draft = pods.draft(Settings.model_validate(state.run(store.today).manifest["scenario"]["memory"]))
    result = _answered("front", kept.spec(now, draft), home)
    at = _at(home, pooled[1])
    assert not at.exception
    words = _words(at)
    assert re.search(r"[\d.]+\u00a0% of DRAM saved against each host’s own peaks at best", words)
    assert f"Of {len(result['options'])} pods" in words
    assert "every host with the DRAM of its own peak" in words
    assert "every host with the DRAM of the worst one" in words
    picker = at.selectbox(key="pod-front-pick")
    assert len(picker.options) == len(result["options"])
    at.selectbox(key="pod-front-pick").set_value("block-design-13x4n4").run()
    assert at.query_params["pod"] == "block-design-13x4n4"
    other = _at(home, pooled[1], pooled="0.3")
    assert "Worked out with 50\u00a0% pooled; the designer says otherwise now." in _words(other)
    assert "Work out every pod anew" in [button.label for button in other.button]


def test_allocators_are_compared_and_the_budget_picks_the_most_that_stays_under_it(
    store: Any, pooled: tuple[Path, str], home: Path
) -> None:
    now = state.Context("example", store.today, None, "today", 7, 0.0, 2400.0, state.run(store.today).clock, None)
    draft = pods.draft(Settings.model_validate(state.run(store.today).manifest["scenario"]["memory"]))
    ways = _answered("fillings", kept.spec(now, draft, design=DESIGN), home)["fillings"]
    at = _at(home, pooled[1], pod=DESIGN)
    assert not at.exception
    assert re.search(r"Moving on overflow at 5\u00a0% headroom reaches \d+\u00a0% of the ideal saving against own peaks", _words(at))
    at.slider(key="pod-budget").set_value(0.0).run()
    assert at.query_params["budget"] == "0"
    assert "Without moving anything: least loaded" in _words(at)
    reached = [allocators.within(ways, budget, "sum_of_peaks")["of_ideal_share"]["sum_of_peaks"] for budget in (0.0, 2e10, 6e10, 1e13)]
    assert reached == sorted(reached)
    assert reached[0] < reached[-1]
    assert all(allocators.within(ways, budget, "sum_of_peaks")["moved_bytes_per_day"] <= budget for budget in (0.0, 2e10, 6e10))


def test_a_pod_that_is_too_large_for_the_site_is_refused_in_a_line(store: Any, home: Path) -> None:
    now = state.Context("example", store.today, None, "today", 7, 0.0, 2400.0, state.run(store.today).clock, None)
    draft = pods.draft(Settings.model_validate(state.run(store.today).manifest["scenario"]["memory"]))
    with pytest.raises(ValueError, match="take a smaller one"):
        _answered("fillings", kept.spec(now, draft, design="biregular-128x8n4"), home)


def _option(name: str, cost: float, saving: float, hosts: float, on_site: float | None = None) -> dict[str, Any]:
    metrics = {"memory.cost_usd_per_host": cost, "memory.dram_saving_share": saving, "memory.pod_hosts": hosts}
    metrics |= {"memory.access_latency_s": 2.6e-7, "memory.migrated_bytes": 0.0, "memory.overflow_events": 0.0}
    details = {"in_pods_sum_of_peaks_total_share": saving, "in_pods_uniform_sku_total_share": 2 * saving}
    details["site_saving_share"] = saving if on_site is None else on_site
    return {"name": name, "title": name, "metrics": metrics, "details": details}


OPTIONS = [
    _option("block-design-13x4n4", 630.0, 0.06, 13.0),
    _option("block-design-25x8n4", 1280.0, 0.085, 25.0),
    _option("fully-connected-8x8n8", 2880.0, 0.05, 8.0),
    _option("islands-96x8n4", 1340.0, 0.09, 96.0),
]


def test_a_pod_stands_by_what_beats_it_or_by_the_limit_that_it_misses_most() -> None:
    found = {row["name"]: row for row in front.standing(OPTIONS, []).iter_rows(named=True)}
    assert [found[name]["stands"] for name in ("block-design-13x4n4", "block-design-25x8n4", "islands-96x8n4")] == [BEST] * 3
    assert found["fully-connected-8x8n8"]["stands"] == BEATEN
    assert found["fully-connected-8x8n8"]["why"] == "beaten by block-design-13x4n4"
    limits = [
        Target(metric="memory.cost_usd_per_host", op="<=", bound=1300.0),
        Target(metric="memory.dram_saving_share", op=">=", bound=0.07),
    ]
    frame = front.standing(OPTIONS, limits)
    found = {row["name"]: row for row in frame.iter_rows(named=True)}
    assert {name for name, row in found.items() if row["stands"] == BEST} == {"block-design-25x8n4"}
    assert found["islands-96x8n4"]["stands"] == MISSED
    assert "pod cost per host" in found["islands-96x8n4"]["why"]
    assert "cost per host at most 1300\u00a0USD turns 2 away" in front.binding(frame, limits).replace("1,300", "1300")


def test_a_pod_that_leaves_fewer_hosts_without_one_is_beaten_by_none_that_saves_more_in_its_pods() -> None:
    """Of 96 hosts pods of 57 leave 39, which save nothing: a dearer pod of fewer hosts and less saving in it saves more on the site."""
    large, small = _option("large", 900.0, 0.10, 57.0, 0.10 * 57 / 96), _option("small", 1000.0, 0.08, 24.0)
    frame = front.standing([large, small], [])
    assert set(frame["stands"]) == {BEST}
    assert front.on_the_site(frame).replace("\u00a0", " ") == (
        "Hosts that fill no whole pod save nothing: on the site small saves the most, 8.00 %."
    )
    assert front.listed_title(frame) == "Two pods that none beats in cost, hosts and saving, in pods and on the site"
    full = front.standing([_option("large", 900.0, 0.10, 57.0, 0.09), small], [])
    assert {row["name"]: row["stands"] for row in full.iter_rows(named=True)} == {"large": BEST, "small": BEATEN}


def test_data_holds_both_savings_and_what_cannot_be_built() -> None:
    table = front.table(front.standing(OPTIONS, []), {"biregular-128x8n4": "cables too long"})
    assert table.filter(pl.col("name") == "islands-96x8n4").select("sum_of_peaks", "uniform_sku").row(0) == (0.09, 0.18)
    assert table.filter(pl.col("stands") == "refused")["why"].to_list() == ["cables too long"]
