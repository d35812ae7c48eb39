"""How many kinds of VMs hints replace."""

from collections.abc import Callable
from typing import Any

import polars as pl

from twin.workloads.negotiation.offering import Offering, combinations, simplification
from twin.workloads.negotiation.treatments import HARVEST, MA, RIGHTSIZED, SPOT
from twin.workloads.readings import VMS

HOUR_S = 3600.0
Make = Callable[..., Any]


def _vms(tenants: Any, extra: int) -> pl.DataFrame:
    """Return the table of VMs of tenants, and of others of sizes that no tenant has."""
    blank = {column.name: "" if column.dtype == pl.String else 0 for column in VMS.columns}
    sizes = [
        {"vm_id": name, "gpus": int(cores * pool), "vcpus": int(cores * (1 - pool)), "memory_bytes": int(memory)}
        for name, cores, pool, memory in zip(tenants.vm_ids(), tenants.cores, tenants.pool, tenants.memory_bytes, strict=True)
    ]
    others = [{"vm_id": f"other-{number}", "vcpus": 100 + number} for number in range(extra)]
    return pl.DataFrame([{**blank, **row} for row in (*sizes, *others)], schema=VMS.schema())


def test_a_vm_may_have_a_hundred_and_forty_six_combinations() -> None:
    # Two surplus tiers that stand alone; else two tiers, three of size and of clock, two each of count, place and deployment.
    assert combinations() == 2 + 2 * 3 * 3 * 2 * 2 * 2


def test_every_size_would_be_listed_with_every_treatment_that_vms_had(till: Make, tenants_of: Make) -> None:
    tenants = tenants_of(12)
    tables = till(tenants).go(HOUR_S, granted=[MA, SPOT, 0, HARVEST] * 3).go(2 * HOUR_S, granted=[MA | RIGHTSIZED, SPOT, 0, 0] * 3).tables()
    found = simplification({**{name: frame.lazy() for name, frame in tables.items()}, "vms": _vms(tenants, 3).lazy()})
    types = len(set(zip(tenants.pool.tolist(), tenants.cores.tolist(), strict=True)))
    assert found is not None
    assert found.used == Offering(types, 5)
    assert found.used.listed == 5 * types
    assert found.possible.listed == 146 * types
    assert found.after.listed == types


def test_opaque_vms_need_no_decoration(till: Make, tenants_of: Make) -> None:
    tenants = tenants_of(12)
    tables = {name: frame.lazy() for name, frame in till(tenants).go(HOUR_S).tables().items()}
    found = simplification({**tables, "vms": _vms(tenants, 0).lazy()})
    assert found is not None
    assert found.used == found.after


def test_a_run_without_a_negotiation_has_no_offering(tenants_of: Make) -> None:
    assert simplification({"vms": _vms(tenants_of(3), 0).lazy()}) is None
