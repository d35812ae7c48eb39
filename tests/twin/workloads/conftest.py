"""A small site without a plant, and a few VMs that negotiate without a site."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from twin.fleet import Fleet
from twin.fleet_file import FleetSpec, build
from twin.workloads.negotiation.tenants import Tenants

_ROW = {"kind": "gpu", "aisle": "aisle-1", "racks": 2, "per_rack": 3, "model": "a100", "power_budget_w": 40_000.0}


@pytest.fixture(scope="session")
def site() -> Fleet:
    """Twelve servers in two rows, and four hosts."""
    rows = [
        {"id": "row-1", "first_rack": "rack-1", "first_server": "server-1", **_ROW},
        {"id": "row-2", "first_rack": "rack-3", "first_server": "server-7", **_ROW},
        {
            "id": "hosts",
            "first_rack": "host-rack-1",
            "first_server": "host-1",
            **_ROW,
            "kind": "host",
            "model": "cpu-host",
            "racks": 1,
            "per_rack": 4,
        },
    ]
    spec = {"name": "dozen", "site_power_budget_w": 100_000.0, "aisle": [{"id": "aisle-1"}], "row": rows}
    return build(FleetSpec.model_validate(spec))


@pytest.fixture(scope="session")
def few() -> Callable[..., Tenants]:
    """Make tenants: the workload of each deployment, and the deployment of each VM, by number."""

    def made(of_workload: Sequence[int] = (0, 0, 1), of_deployment: Sequence[int] = (0, 0, 1, 1, 1, 2, 2)) -> Tenants:
        owners, deployment = np.array(of_workload, dtype=np.int64), np.array(of_deployment, dtype=np.int64)
        vms, workloads = len(deployment), int(owners.max()) + 1
        return Tenants(
            workload_ids=tuple(f"work-{index}" for index in range(workloads)),
            deployment_ids=tuple(f"part-{index}" for index in range(len(owners))),
            class_id=("microservices",) * workloads,
            agent=("microservices",) * workloads,
            vm_ids=lambda: tuple(f"vm-{index}" for index in range(vms)),
            outer=np.arange(vms),
            pool=np.zeros(vms, dtype=np.int64),
            workload=owners[deployment],
            deployment=deployment,
            deployment_workload=owners,
            cores=np.full(vms, 4),
            memory_bytes=np.full(vms, 16 << 30),
            arrive_s=np.zeros(vms),
            end_s=np.full(vms, 86_400.0),
            mean_share=np.full(vms, 0.35),
            peak_share=np.full(vms, 0.5),
            usd_per_h=np.full(vms, 0.2),
            marks=np.linspace(0.05, 0.95, vms * 8).reshape(vms, 8),
        )

    return made
