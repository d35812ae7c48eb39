"""Fleet files are read, packaged or imported, and laid out as a fleet."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from twin.fleet import Fleet
from twin.fleet_spec import FleetSpec, MachineSpec, PduSpec, RackedRowSpec, RackSpec, RowSpec, UpsSpec
from twin.sources import calibration, data_dir, imported, toml

HOST_MODEL: Final = "cpu-host"
_IMPORT: Final = re.compile(r"^import:([a-z0-9-]{1,40})$")
_MODEL: Final = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")
# A figure of an own server model that is further than this factor from its like's is a slip of the unit.
_FURTHEST: Final = 5.0
# 4N/3: of four units any three carry the site at its rating.
_UPS_UNITS = 4


def _numbered(first: str, count: int, offset: int = 0) -> list[str]:
    match = re.match(r"^(.*?)(\d+)$", first)
    if match is None:
        raise ValueError(f"{first!r} must end in a number, such as rack-1")
    return [f"{match[1]}{int(match[2]) + offset + step:0{len(match[2])}d}" for step in range(count)]


def read(path: Path) -> FleetSpec:
    """Read a fleet file, TOML or the JSON of an import; what is wrong is one line with file, place and remedy."""
    try:
        if path.suffix == ".json":
            return FleetSpec.model_validate_json(path.read_bytes())
        return FleetSpec.model_validate(toml(path))
    except ValidationError as error:
        if path.suffix == ".json":
            where = "/".join(path.parts[-3:])
            raise ValueError(f"{where} is damaged ({error.errors()[0]['msg']:.80}); move it away and import the fleet again") from None
        raise ValueError(f"{path.name}: {problem(error)}") from None


def problem(error: ValidationError) -> str:
    """Return the first thing that a fleet's specification is refused for, as one line: place, what is wrong, value."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in {"equal", "listed"})
    what = {"missing": "is missing; add it", "extra_forbidden": "is unknown; remove it"}.get(first["type"])
    return f"{place}: {what or first['msg']}" + ("" if what else f" (it is {first.get('input')!r:.60})")


def load(path: Path) -> Fleet:
    """Lay out the fleet of a file; what is wrong is one line with file, place and remedy."""
    return build(read(path))


def models(path: Path) -> dict[str, dict[str, float | str]]:
    """Read server models of one's own from the tables ``[model.NAME]`` of a TOML file, each checked."""
    tables = toml(path).get("model")
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ValueError(f"{path.name}: no table [model.NAME]; write one with like = and the figures that differ")
    for name, table in tables.items():
        own_model(path.name, name, table)
    return tables


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


def own_model(place: str, name: str, given: Mapping[str, float | str]) -> dict[str, float]:
    """Return every figure of a server model that is ``like`` a calibrated one but for what is given; ValueError for what cannot be.

    Shares are from 0 to 1; everything else is within a fifth and five times the like's, and temperatures rise from limit to
    slowdown to shutdown.
    """
    known = calibration("hardware")["server"]
    if not _MODEL.match(name):
        raise ValueError(f"{place}: {name[:40]!r} is no name for a model; use 1 to 40 letters, digits, '-', '_' and '.'")
    if name in known:
        raise ValueError(f"{place}: model {name} is a calibrated one; give yours another name")
    like = given.get("like")
    if like not in known:
        raise ValueError(f"{place}: model {name}: like = {like!r} is unknown; it is one of {', '.join(known)}")
    figures = {field: float(entry["value"]) for field, entry in known[str(like)].items()}
    for field, value in given.items():
        if field == "like":
            continue
        if field not in figures:
            near = difflib.get_close_matches(field, figures, 1)
            raise ValueError(f"{place}: model {name}: {field} is unknown; {f'did you mean {near[0]}?' if near else 'remove it'}")
        low, high = (0.0, 1.0) if field.endswith("_share") else (figures[field] / _FURTHEST, figures[field] * _FURTHEST)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"{place}: model {name}: {field} = {value!r} is not a number from {low:g} to {high:g}; correct it")
        figures[field] = float(value)
    for lower, higher in (("idle_w", "resident_w"), ("resident_w", "tdp_w"), ("limit_c", "slowdown_c"), ("slowdown_c", "shutdown_c")):
        if figures[lower] > figures[higher]:
            raise ValueError(f"{place}: model {name}: {lower} is {figures[lower]:g}, above {higher} of {figures[higher]:g}; correct one")
    return figures


def build(spec: FleetSpec) -> Fleet:
    """Lay out a fleet from its specification."""
    aisles = [aisle.id for aisle in spec.aisle]
    calibrated = tuple(calibration("hardware")["server"])
    own = tuple(own_model(f"fleet {spec.name}", name, given) for name, given in spec.model.items())
    models = (*calibrated, *spec.model)
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
        model_names=(*calibrated, *(str(given["like"]) for given in spec.model.values())),
        own_models=own,
        host_ids=tuple(host[0] for host in hosts),
        host_racks=np.array([host[1] for host in hosts], dtype=np.int64),
        host_slots=np.array([host[2] for host in hosts], dtype=np.int64),
    )
