"""Fleet files: what they may say, their checks, and the fleet they lay out."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from twin.fleet import Fleet
from twin.sources import calibration, data_dir, toml

# 4N/3: of four units any three carry the site at its rating.
_UPS_UNITS = 4


class RowSpec(BaseModel):
    """One row of racks as a fleet file writes it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: Literal["gpu", "host"]
    aisle: str
    racks: Annotated[int, Field(ge=1, le=1000)]
    first_rack: str
    per_rack: Annotated[int, Field(ge=1, le=64)]
    first_server: str
    model: str
    power_budget_w: Annotated[float, Field(gt=0)]
    cooling: Literal["air", "liquid"] = "air"
    pdus: Annotated[tuple[str, ...], Field(max_length=2)] = ()


class UpsSpec(BaseModel):
    """One UPS unit and the load that it can carry without end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    rated_w: Annotated[float, Field(gt=0)]


class PduSpec(BaseModel):
    """One PDU, its rating, and the UPS units that feed it (all of the site where none is named)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    rated_w: Annotated[float, Field(gt=0)]
    ups: tuple[str, ...] = ()


class AisleSpec(BaseModel):
    """One contained cold aisle and the air handlers that feed it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    air_handlers: Annotated[int, Field(ge=1, le=64)] = 4


class FleetSpec(BaseModel):
    """A fleet file. Without ``ups`` and ``pdu`` the site has four UPS units in 4N/3, and a pair of PDUs for each row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    site_power_budget_w: Annotated[float, Field(gt=0)]
    aisle: tuple[AisleSpec, ...]
    row: tuple[RowSpec, ...]
    ups: tuple[UpsSpec, ...] = ()
    pdu: tuple[PduSpec, ...] = ()


def _numbered(first: str, count: int, offset: int = 0) -> list[str]:
    match = re.match(r"^(.*?)(\d+)$", first)
    if match is None:
        raise ValueError(f"{first!r} must end in a number, such as rack-1")
    return [f"{match[1]}{int(match[2]) + offset + step}" for step in range(count)]


def load(path: Path) -> Fleet:
    """Read a fleet file; what is wrong is one line with file, place and remedy."""
    try:
        spec = FleetSpec.model_validate(toml(path))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"fleets/{path.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return build(spec)


def named(name: str) -> Fleet:
    """Return a packaged fleet by its name."""
    path = data_dir() / "fleets" / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(item.stem for item in path.parent.glob("*.toml")))
        raise ValueError(f"fleet {name!r} is unknown; there are: {known}")
    return load(path)


def _named_once(name: str, *kinds: list[str]) -> None:
    for ids in kinds:
        if len(set(ids)) < len(ids):
            twice = next(each for each in ids if ids.count(each) > 1)
            raise ValueError(f"fleets/{name}: {twice!r} is there twice; give each place its own id")


def _power_tree(spec: FleetSpec) -> dict[str, Any]:
    """Return the fields of UPS units, PDUs and the rows' feeds; what the file leaves out is 4N/3 and a pair of PDUs a row."""
    budgets = sum(row.power_budget_w for row in spec.row)
    units = spec.ups or tuple(UpsSpec(id=f"ups-{n}", rated_w=budgets / _UPS_UNITS) for n in range(1, _UPS_UNITS + 1))
    pairs = {row.id: row.pdus or (f"{row.id}-pdu-a", f"{row.id}-pdu-b") for row in spec.row}
    own = [PduSpec(id=name, rated_w=row.power_budget_w) for row in spec.row if not row.pdus for name in pairs[row.id]]
    pdus, ups_ids = (*spec.pdu, *own), [unit.id for unit in units]
    pdu_ids = [pdu.id for pdu in pdus]
    _named_once(spec.name, ups_ids, pdu_ids)
    share = np.zeros((len(pdus), len(units)))
    for index, pdu in enumerate(pdus):
        for name in pdu.ups or ups_ids:
            if name not in ups_ids:
                raise ValueError(f"fleets/{spec.name}: pdu {pdu.id}: ups {name!r} is unknown; it is one of {', '.join(ups_ids)}")
            share[index, ups_ids.index(name)] = 1.0 / len(pdu.ups or ups_ids)
    for row, feeds in pairs.items():
        for name in feeds:
            if name not in pdu_ids:
                raise ValueError(f"fleets/{spec.name}: row {row}: pdu {name!r} is unknown; it is one of {', '.join(pdu_ids) or 'none'}")
    return {
        "row_liquid": np.array([row.cooling == "liquid" for row in spec.row], dtype=np.bool_),
        "row_pdus": np.array([[pdu_ids.index(feeds[0]), pdu_ids.index(feeds[-1])] for feeds in pairs.values()], dtype=np.int64),
        "pdu_ids": tuple(pdu_ids),
        "pdu_rated_w": np.array([pdu.rated_w for pdu in pdus], dtype=np.float64),
        "pdu_ups_share": share,
        "ups_ids": tuple(ups_ids),
        "ups_rated_w": np.array([unit.rated_w for unit in units], dtype=np.float64),
    }


def build(spec: FleetSpec) -> Fleet:
    """Lay out a fleet from its specification."""
    aisles = [aisle.id for aisle in spec.aisle]
    models = tuple(name for name in calibration("hardware")["server"])
    racks: list[tuple[str, int, int]] = []
    servers: list[tuple[str, int, int, int]] = []
    hosts: list[tuple[str, int, int]] = []
    for row_index, row in enumerate(spec.row):
        if row.aisle not in aisles:
            raise ValueError(f"fleets/{spec.name}: row {row.id}: aisle {row.aisle!r} is unknown; it is one of {', '.join(aisles)}")
        if row.kind == "gpu" and row.model not in models:
            raise ValueError(f"fleets/{spec.name}: row {row.id}: model {row.model!r} is unknown; it is one of {', '.join(models)}")
        names = _numbered(row.first_server, row.racks * row.per_rack)
        for position, rack in enumerate(_numbered(row.first_rack, row.racks)):
            rack_index = len(racks)
            racks.append((rack, row_index, position))
            for slot in range(row.per_rack):
                name = names[position * row.per_rack + slot]
                if row.kind == "gpu":
                    servers.append((name, rack_index, slot, models.index(row.model)))
                else:
                    hosts.append((name, rack_index, slot))
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
