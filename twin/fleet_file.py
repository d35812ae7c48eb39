"""Fleet files are read, packaged or imported, and laid out as a fleet."""

import re
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from twin.fleet import Fleet
from twin.fleet_spec import FleetSpec, MachineSpec, PduSpec, RackedRowSpec, RackSpec, RowSpec, UpsSpec
from twin.sources import calibration, data_dir, imported, toml

HOST_MODEL: Final = "cpu-host"
_IMPORT: Final = re.compile(r"^import:([a-z0-9-]{1,40})$")
# 4N/3: of four units any three carry the site at its rating.
_UPS_UNITS = 4


def _numbered(first: str, count: int, offset: int = 0) -> list[str]:
    match = re.match(r"^(.*?)(\d+)$", first)
    if match is None:
        raise ValueError(f"{first!r} must end in a number, such as rack-1")
    return [f"{match[1]}{int(match[2]) + offset + step}" for step in range(count)]


def read(path: Path) -> FleetSpec:
    """Read a fleet file, TOML or the JSON of an import; what is wrong is one line with file, place and remedy."""
    try:
        if path.suffix == ".json":
            return FleetSpec.model_validate_json(path.read_bytes())
        return FleetSpec.model_validate(toml(path))
    except ValidationError as error:
        raise ValueError(f"{path.name}: {_problem(error)}") from None


def _problem(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in {"equal", "listed"})
    what = {"missing": "is missing; add it", "extra_forbidden": "is unknown; remove it"}.get(first["type"])
    return f"{place}: {what or first['msg']}" + ("" if what else f" (it is {first.get('input')!r:.60})")


def load(path: Path) -> Fleet:
    """Lay out the fleet of a file; what is wrong is one line with file, place and remedy."""
    return build(read(path))


def path_of(name: str) -> Path:
    """Return the file of a packaged fleet, or of an imported one that is called ``import:NAME``."""
    if found := _IMPORT.match(name):
        return imported("fleet", found[1])
    path = data_dir() / "fleets" / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(item.stem for item in path.parent.glob("*.toml")))
        raise ValueError(f"fleet {name!r} is unknown; there are: {known}, and import:NAME for one of yours")
    return path


def named(name: str) -> Fleet:
    """Return a packaged fleet by its name, or an imported one as ``import:NAME``."""
    return build(read(path_of(name)).model_copy(update={"name": name}))


def _named_once(name: str, *kinds: list[str]) -> None:
    for ids in kinds:
        if len(set(ids)) < len(ids):
            twice = next(each for each in ids if ids.count(each) > 1)
            raise ValueError(f"fleet {name}: {twice!r} is there twice; give each place its own id")


def _power_tree(spec: FleetSpec) -> dict[str, Any]:
    """Return the fields of UPS units, PDUs and the rows' feeds; what the file leaves out is 4N/3 and a pair of PDUs a row."""
    budgets = sum(row.power_budget_w for row in spec.row)
    units = spec.ups or tuple(UpsSpec(id=f"ups-{n}", rated_w=budgets / _UPS_UNITS) for n in range(1, _UPS_UNITS + 1))
    pairs = {row.id: row.pdus or (f"{row.id}-pdu-a", f"{row.id}-pdu-b") for row in spec.row}
    own = [PduSpec(id=name, rated_w=row.power_budget_w) for row in spec.row if not row.pdus for name in pairs[row.id]]
    pdus, ups_ids = (*spec.pdu, *own), [unit.id for unit in units]
    pdu_ids = [pdu.id for pdu in pdus]
    # One table holds the loads of both.
    _named_once(spec.name, ups_ids + pdu_ids)
    share = np.zeros((len(pdus), len(units)))
    for index, pdu in enumerate(pdus):
        for name in pdu.ups or ups_ids:
            if name not in ups_ids:
                raise ValueError(f"fleet {spec.name}: pdu {pdu.id}: ups {name!r} is unknown; it is one of {', '.join(ups_ids)}")
            share[index, ups_ids.index(name)] = 1.0 / len(pdu.ups or ups_ids)
    for row, feeds in pairs.items():
        for name in feeds:
            if name not in pdu_ids:
                raise ValueError(f"fleet {spec.name}: row {row}: pdu {name!r} is unknown; it is one of {', '.join(pdu_ids) or 'none'}")
    return {
        "row_liquid": np.array([row.cooling == "liquid" for row in spec.row], dtype=np.bool_),
        "row_pdus": np.array([[pdu_ids.index(feeds[0]), pdu_ids.index(feeds[-1])] for feeds in pairs.values()], dtype=np.int64),
        "pdu_ids": tuple(pdu_ids),
        "pdu_rated_w": np.array([pdu.rated_w for pdu in pdus], dtype=np.float64),
        "pdu_ups_share": share,
        "ups_ids": tuple(ups_ids),
        "ups_rated_w": np.array([unit.rated_w for unit in units], dtype=np.float64),
    }


def _racks(spec: FleetSpec, models: tuple[str, ...], row: RowSpec | RackedRowSpec) -> list[RackSpec]:
    """Return a row's racks one by one, with every model checked."""
    if isinstance(row, RackedRowSpec):
        racks = list(row.rack)
        for what, places in (
            ("position", [rack.position for rack in racks]),
            *((f"slot of {r.id}", [m.slot for m in r.machine]) for r in racks),
        ):
            if len(set(places)) < len(places):
                twice = next(place for place in places if places.count(place) > 1)
                raise ValueError(f"fleet {spec.name}: row {row.id}: {what} {twice} is taken twice; give each its own")
    else:
        names = _numbered(row.first_server, row.racks * row.per_rack)
        racks = [
            RackSpec.model_construct(
                id=rack,
                position=position,
                machine=tuple(
                    MachineSpec.model_construct(id=names[position * row.per_rack + slot], slot=slot, model=row.model, kind=row.kind)
                    for slot in range(row.per_rack)
                ),
            )
            for position, rack in enumerate(_numbered(row.first_rack, row.racks))
        ]
    for machine in (machine for rack in racks for machine in rack.machine):
        known = models if machine.kind == "gpu" else (HOST_MODEL,)
        if machine.model not in known:
            raise ValueError(f"fleet {spec.name}: row {row.id}: model {machine.model!r} is unknown; it is one of {', '.join(known)}")
    return racks


def build(spec: FleetSpec) -> Fleet:
    """Lay out a fleet from its specification."""
    aisles = [aisle.id for aisle in spec.aisle]
    models = tuple(name for name in calibration("hardware")["server"])
    racks: list[tuple[str, int, int]] = []
    servers: list[tuple[str, int, int, int]] = []
    hosts: list[tuple[str, int, int]] = []
    for row_index, row in enumerate(spec.row):
        if row.aisle not in aisles:
            raise ValueError(f"fleet {spec.name}: row {row.id}: aisle {row.aisle!r} is unknown; it is one of {', '.join(aisles)}")
        for rack in _racks(spec, models, row):
            for machine in rack.machine:
                if machine.kind == "gpu":
                    servers.append((machine.id, len(racks), machine.slot, models.index(machine.model)))
                else:
                    hosts.append((machine.id, len(racks), machine.slot))
            racks.append((rack.id, row_index, rack.position))
    if not servers:
        raise ValueError(f"fleet {spec.name}: no row has a GPU server; add one")
    _named_once(spec.name, aisles, [row.id for row in spec.row], [r[0] for r in racks], [s[0] for s in servers], [h[0] for h in hosts])
    return Fleet(
        name=spec.name,
        site_power_budget_w=spec.site_power_budget_w,
        aisle_ids=tuple(aisles),
        aisle_air_handlers=np.array([aisle.air_handlers for aisle in spec.aisle], dtype=np.int64),
        row_ids=tuple(row.id for row in spec.row),
        row_aisles=np.array([aisles.index(row.aisle) for row in spec.row], dtype=np.int64),
        row_power_budgets_w=np.array([row.power_budget_w for row in spec.row], dtype=np.float64),
        row_extra_servers=np.zeros(len(spec.row), dtype=np.int64),
        **_power_tree(spec),
        rack_ids=tuple(rack[0] for rack in racks),
        rack_rows=np.array([rack[1] for rack in racks], dtype=np.int64),
        rack_positions=np.array([rack[2] for rack in racks], dtype=np.int64),
        server_ids=tuple(server[0] for server in servers),
        server_racks=np.array([server[1] for server in servers], dtype=np.int64),
        server_slots=np.array([server[2] for server in servers], dtype=np.int64),
        server_models=np.array([server[3] for server in servers], dtype=np.int64),
        model_names=models,
        host_ids=tuple(host[0] for host in hosts),
        host_racks=np.array([host[1] for host in hosts], dtype=np.int64),
        host_slots=np.array([host[2] for host in hosts], dtype=np.int64),
    )
