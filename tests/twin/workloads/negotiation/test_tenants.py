"""Who negotiates: whose VMs, how they are dealt, and that nothing but the seed decides it."""

from datetime import datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from twin.clock import Clock
from twin.fleet import Fleet
from twin.workloads.model import Model
from twin.workloads.negotiation.classes import named
from twin.workloads.negotiation.tenants import HOSTS, MARKS, SERVERS, Tenants, tenants
from twin.workloads.settings import Settings

CLOCK = Clock.of(datetime(2026, 7, 14), "UTC")  # noqa: DTZ001  # the zone is given beside it
WEB = {"workload": "web", "vcpus_share": 0.6, "load": {"mean_share": 0.35, "swing_share": 0.15, "spread_share": 0.1}}
ASKED: dict[str, Any] = {
    "vms": [
        {"workload": "chat", "kind": "saas", "count": 3},
        {"workload": "batch", "servers": ["server-12", "host-1"]},
        {"workload": "other", "count": 2},
    ],
    "arrivals": [{"workload": "training", "gpus_share": 0.2}],
    "host_streams": [WEB],
}
TENANTS = [
    {"id": "web", "class": "microservices", "deployments": 3},
    {"id": "chat", "class": "serverless", "deployments": 1},
    {"id": "batch", "class": "batch-training", "agent": "silent"},
    {"id": "training", "class": "big-data"},
]


def _dealt(site: Fleet, horizon_s: float = 86400.0, seed: int = 1, who: list[dict[str, Any]] | None = None) -> tuple[Tenants, Model]:
    settings = Settings.model_validate({**ASKED, "negotiation": {"tenants": TENANTS if who is None else who, "regular_usd_per_gpu_h": 3.0}})
    model = Model(settings, site, CLOCK, horizon_s, (), seed)
    return tenants(settings.negotiation, model.vms, model.host_vms, seed), model


def _of(who: Tenants, name: str) -> NDArray[np.bool_]:
    return np.asarray(who.workload == who.workload_ids.index(name))


def test_whose_vms_negotiate_and_what_they_are(site: Fleet) -> None:
    who, model = _dealt(site)
    assert who.workload_ids == ("web", "chat", "batch", "training")
    assert (who.agent, who.class_id[1]) == (("microservices", "functions", "silent", "batch"), "serverless")
    assert np.all(np.diff(who.pool) <= 0)
    ids, outer = who.vm_ids(), who.outer
    for vm in range(len(who)):
        own = model.vm_ids[outer[vm]] if who.pool[vm] == SERVERS else model.host_vms.ids[outer[vm]]
        assert ids[vm] == own
        assert own.startswith(who.workload_ids[who.workload[vm]] + "/")
    assert _of(who, "chat").sum() == 3
    # One VM of batch fills a server, one a host.
    assert who.cores[_of(who, "batch")].tolist() == [8, 40]
    assert who.usd_per_h[_of(who, "batch")].tolist() == pytest.approx([24.0, 40 * 0.048])
    on_hosts = who.pool == HOSTS
    assert np.array_equal(who.memory_bytes[on_hosts], model.host_vms.memory_bytes[outer[on_hosts]])
    assert not who.memory_bytes[~on_hosts].any()


def test_the_peak_is_that_of_an_ordinary_day(site: Fleet) -> None:
    who, _ = _dealt(site)
    web = _of(who, "web")
    assert np.all((who.mean_share <= who.peak_share) & (who.peak_share <= 1.0))
    # 35 % with a swing of 15 %: half of them peak under half of their cores.
    assert (who.peak_share[web] <= 0.5).mean() == pytest.approx(0.5, abs=0.1)
    quiet = Settings.model_validate({"host_streams": [{**WEB, "load": {"mean_share": 0.35, "swing_share": 0.15, "noise_share": 0}}]})
    alone = Model(quiet, site, CLOCK, 86400.0, (), 1)
    alone.advance(15 * 3600.0)
    vm, host = alone.host_standing()
    felt = np.bincount(host, weights=alone.host_vms.vcpus[vm] * 0.5, minlength=4) / 40.0
    assert alone.host_share() == pytest.approx(felt, abs=1e-6)


def test_deployments_of_a_workload_have_equal_parts(site: Fleet) -> None:
    who, _ = _dealt(site)
    assert who.deployment_ids[:4] == ("web/deployment-1", "web/deployment-2", "web/deployment-3", "chat/deployment-1")
    assert np.array_equal(who.deployment_workload[who.deployment], who.workload)
    counts = np.bincount(who.deployment[_of(who, "web")], minlength=3)
    assert counts.max() - counts.min() <= 1


def test_a_share_of_marks_is_that_share_of_vms(site: Fleet) -> None:
    who, _ = _dealt(site)
    assert who.marks.shape == (len(who), MARKS)
    assert np.all((who.marks >= 0.0) & (who.marks < 1.0))
    small = _of(who, "web") & (who.cores == 1)
    for deployment in range(3):
        mine = who.marks[small & (who.deployment == deployment)]
        assert len(mine) > 20
        # Of every sixteen six or seven, and up to six more of those that are left over.
        covered = (mine[: len(mine) // 16 * 16] < 0.4075).mean(axis=0)
        assert np.all((covered >= 6 / 16) & (covered <= 7 / 16))
    many = who.marks[_of(who, "web")]
    assert np.abs(np.corrcoef(many.T) - np.eye(MARKS)).max() < 6.0 / np.sqrt(len(many))


def _same(one: Tenants, other: Tenants, name: str, pool: int) -> None:
    """Check that what both have of a workload is dealt alike."""
    first, second = (_of(each, name) & (each.pool == pool) for each in (one, other))
    count = min(int(first.sum()), int(second.sum()))
    assert count
    assert np.array_equal(one.arrive_s[first][:count], other.arrive_s[second][:count])
    assert np.array_equal(one.marks[first][:count], other.marks[second][:count])
    names = [[each.deployment_ids[at] for at in each.deployment[of][:count]] for each, of in ((one, first), (other, second))]
    assert names[0] == names[1]


def test_a_longer_run_and_another_tenant_change_nothing_and_a_seed_does(site: Fleet) -> None:
    who, _ = _dealt(site)
    longer, _ = _dealt(site, horizon_s=2 * 86400.0)
    alone, _ = _dealt(site, who=[{"id": "new", "class": "search"}, TENANTS[3], TENANTS[0]])
    assert len(longer) > len(who)
    for name, pool in (("web", HOSTS), ("training", SERVERS)):
        _same(who, longer, name, pool)
        _same(who, alone, name, pool)
    assert not np.array_equal(who.marks, _dealt(site, seed=2)[0].marks[: len(who)])


def test_nobody_negotiates_where_no_tenant_is_named(site: Fleet) -> None:
    who, _ = _dealt(site, who=[])
    assert len(who) == 0
    assert (who.deployment_ids, who.vm_ids()) == ((), ())
    assert who.marks.shape == (0, MARKS)


def test_a_class_that_is_not_there_is_refused(site: Fleet) -> None:
    with pytest.raises(ValueError, match="class 'batch' is unknown; there are: big-data, "):
        _dealt(site, who=[{"id": "web", "class": "batch"}])
    assert set(named("survey")) >= {each["class"] for each in TENANTS}
