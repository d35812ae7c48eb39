"""A fleet laid out as the plant's arrays: places, neighbours, offsets."""

import numpy as np
from numpy.typing import NDArray

from twin.chance import stream
from twin.fleet import GPUS_PER_SERVER, Fleet
from twin.plant.airflow import AIR_J_PER_M3_K, Airflow
from twin.plant.cooling import Cooling
from twin.plant.hardware import host_model, server_models
from twin.plant.heat import Heat
from twin.plant.inlet import Inlet
from twin.plant.liquid import Liquid, with_plates
from twin.plant.records import AISLE, FEED, HOST, RACK, ROW, SERVER, SITE_STATE, Gpus, Layout, Records
from twin.plant.room import heat_capacity_j_per_c
from twin.plant.throttling import Throttling, graded_values
from twin.plant.tree import PowerTree, built_share

# Numbers to a line of the cache and to a page of memory.
_LINE, _PAGE = 8, 512


def site_record(
    airflow: Airflow,
    inlet: Inlet,
    heat: Heat,
    throttling: Throttling,
    cooling: Cooling,
    liquid: Liquid | None = None,
    tree: PowerTree | None = None,
) -> Records:
    """Return one record with every scalar setting under its own name, and the site's state."""
    values: dict[str, float] = {
        "fan_by_heat": 1.0 if airflow.law == "thermal" else 0.0,
        "chiller_by_supply": 1.0 if cooling.chiller_law == "supply" else 0.0,
    }
    for part in (airflow, inlet, heat, throttling, cooling, liquid or Liquid(), tree or PowerTree()):
        values |= {name: float(value) for name, value in part if isinstance(value, int | float)}
    values |= graded_values(throttling.graded)
    names = (*values, "rated_w", "nameplate_w", "chiller_capacity_w", "chiller_left_share", "room_j_per_c", *SITE_STATE)
    site = np.zeros(1, dtype=[(name, np.float64) for name in names]).view(np.recarray)
    for name, value in values.items():
        site[name] = value
    return site


def _known(given: dict[str, float], ids: tuple[str, ...], name: str) -> None:
    for key in given:
        if key not in ids:
            raise ValueError(f"plant.inlet.{name}: {key!r} is not in the fleet; it is one of {', '.join(ids[:6])}…")


def _offsets_c(fleet: Fleet, inlet: Inlet, seed: int) -> NDArray[np.float64]:
    """Return each rack's inlet offset: drawn, or given. Racks at a row's head stand near an air handler."""
    random = stream(seed, "plant", "inlet-offsets")
    rows = random.standard_normal(len(fleet.row_ids)) * inlet.offset_spread_c
    racks = random.standard_normal(len(fleet.rack_ids)) * inlet.offset_spread_c
    _known(inlet.row_offset_c, fleet.row_ids, "row_offset_c")
    _known(inlet.rack_offset_c, fleet.rack_ids, "rack_offset_c")
    for name, value in inlet.row_offset_c.items():
        rows[fleet.row_ids.index(name)] = value
    for name, value in inlet.rack_offset_c.items():
        racks[fleet.rack_ids.index(name)] = value
    near = np.where(fleet.rack_positions == 0, inlet.near_air_handler_c, 0.0)
    return np.asarray(rows[fleet.rack_rows] + racks + near)


def _neighbours(fleet: Fleet, inlet: Inlet) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each rack's neighbours (-1 for none) and their shares: two on each side, one across the aisle."""
    places = {
        (int(row), int(position)): rack for rack, (row, position) in enumerate(zip(fleet.rack_rows, fleet.rack_positions, strict=True))
    }
    # Rows of one aisle face each other two by two, in the order of the fleet.
    facing: dict[int, int] = {}
    for aisle in range(len(fleet.aisle_ids)):
        members = [int(row) for row in np.flatnonzero(fleet.row_aisles == aisle)]
        for one, other in zip(members[::2], members[1::2], strict=False):
            facing[one], facing[other] = other, one
    steps = ((-1, inlet.adjacent_share), (1, inlet.adjacent_share), (-2, inlet.second_share), (2, inlet.second_share))
    index = np.full((len(fleet.rack_ids), 5), -1, dtype=np.int64)
    share = np.zeros((len(fleet.rack_ids), 5))
    for (row, position), rack in places.items():
        found = [(places.get((row, position + step), -1), part) for step, part in steps]
        found.append((places.get((facing.get(row, -1), position), -1), inlet.across_share))
        for column, (other, part) in enumerate(found):
            index[rack, column], share[rack, column] = other, part
    return index, share


def build(fleet: Fleet, site: Records, inlet: Inlet, heat: Heat, seed: int, liquid: Liquid | None = None) -> Layout:
    """Lay the fleet out as records with every static figure filled in."""
    liquid = liquid or Liquid()
    models = with_plates(server_models(fleet), liquid)
    on_plates = fleet.row_liquid[fleet.server_rows]
    counts = (
        len(fleet.gpu_servers),
        len(fleet.server_ids),
        len(fleet.rack_ids),
        len(fleet.aisle_ids),
        len(fleet.row_ids),
        len(fleet.host_ids),
    )
    gpus = Gpus(*_beside(len(Gpus._fields), counts[0]))
    servers, racks, aisles, rows, hosts = (
        np.zeros(count, dtype=dtype) for count, dtype in zip(counts[1:], (SERVER, RACK, AISLE, ROW, HOST), strict=True)
    )
    spread = stream(seed, "plant", "gpu-offsets").standard_normal(counts[0]) * heat.gpu_spread_c
    # Air reaches the rear GPUs warmer; coolant reaches every plate as cold.
    gpus.offset_c[:] = np.where(np.repeat(on_plates, GPUS_PER_SERVER), 0.0, np.tile(heat.preheat_c, counts[1])) + spread
    gpus.thermal_clock_share[:] = gpus.clock_share[:] = gpus.sink_scale[:] = 1.0
    for name in ("brake_clock_share", "low_clock_share", "high_clock_share", "live"):
        rows[name] = 1.0
    servers["own_clock_share"] = 1.0
    variants = fleet.server_models + on_plates * (len(models) // 2)
    servers["model"], servers["rack"], servers["row"] = variants, fleet.server_racks, fleet.server_rows
    servers["aisle"] = fleet.server_aisles
    racks["row"], racks["aisle"] = fleet.rack_rows, fleet.row_aisles[fleet.rack_rows]
    racks["offset_c"] = _offsets_c(fleet, inlet, seed)
    racks["gpus"] = np.bincount(fleet.server_racks, minlength=counts[2]) * GPUS_PER_SERVER
    # Heights are those of the row's tallest rack: where racks are of uneven size, a short one ends lower.
    tallest = np.ones(counts[4])
    np.maximum.at(tallest, fleet.server_rows, fleet.server_slots)
    servers["offset_c"] = racks["offset_c"][fleet.server_racks] + inlet.height_rise_c * fleet.server_slots / tallest[fleet.server_rows]
    rows["rated_w"] = rows["budget_w"] = fleet.row_power_budgets_w
    rows["pdu_a"], rows["pdu_b"] = fleet.row_pdus.T
    feeds = np.zeros(len(fleet.ups_ids) + len(fleet.pdu_ids), dtype=FEED)
    feeds["rated_w"], feeds["live"] = np.concatenate([fleet.ups_rated_w, fleet.pdu_rated_w]), 1.0
    feeds["built_share"] = built_share(fleet)
    rows["gpus"] = np.bincount(fleet.server_rows, minlength=counts[4]) * GPUS_PER_SERVER
    hosts["rack"], hosts["row"] = fleet.host_racks, fleet.rack_rows[fleet.host_racks]
    hosts["aisle"] = racks["aisle"][fleet.host_racks]
    _supply(fleet, inlet, aisles, models["airflow_max_m3_per_s"][variants], (servers, hosts))
    _room(fleet, site, liquid)
    _, host_max_w, _ = host_model()
    site["rated_w"] = fleet.site_power_budget_w
    # The heat that the room was made for: servers above it make it warmer, not larger.
    site["nameplate_w"] = models["nameplate_w"][fleet.server_models[: fleet.built_servers]].sum() + host_max_w * counts[5]
    return Layout(
        gpus,
        servers,
        racks,
        aisles,
        rows,
        feeds,
        hosts,
        site,
        models,
        *_neighbours(fleet, inlet),
        _runs(variants),
        fleet.pdu_ups_share.copy(),
    )


def _beside(count: int, length: int) -> list[NDArray[np.float64]]:
    """Return arrays of zeros, shape ``length``, in one piece of memory; it is large enough for huge pages where a fleet is.

    Each begins on a cache line, so that no vector lies across two, and at another place within its page than the others, so
    that the same index of all arrays does not compete for the same few lines of the cache.
    """
    stride = -(-length // _PAGE) * _PAGE + 5 * _LINE
    memory = np.zeros(count * stride + _LINE)
    skip = -(memory.ctypes.data // memory.itemsize) % _LINE
    return [memory[start : start + length] for start in range(skip, skip + count * stride, stride)]


def _runs(variants: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return runs of GPUs of one server model: model, first GPU, one past the last; shape (n, 3)."""
    starts = np.flatnonzero(np.diff(variants, prepend=-1))
    ends = np.append(starts[1:], len(variants))
    return np.column_stack([variants[starts], starts * GPUS_PER_SERVER, ends * GPUS_PER_SERVER]).astype(np.int64)


def _room(fleet: Fleet, site: Records, liquid: Liquid) -> None:
    """Size chillers for the heat that the rows' budgets let into the air, and the room for its racks."""
    # CPU hosts have no plates, whatever their row has.
    on_plates = fleet.row_liquid & (np.bincount(fleet.server_rows, minlength=len(fleet.row_ids)) > 0)
    in_air = np.where(on_plates, liquid.board_air_share, 1.0)
    site["chiller_capacity_w"] = site["chiller_capacity_share"] * (fleet.row_power_budgets_w * in_air).sum()
    site["chiller_left_share"] = 1.0
    site["room_j_per_c"] = heat_capacity_j_per_c(len(fleet.rack_ids), site["room_j_per_c_per_rack"][0], site["room_m3_per_rack"][0])


def _supply(fleet: Fleet, inlet: Inlet, aisles: Records, full: NDArray[np.float64], housed: tuple[Records, Records]) -> None:
    """Size each aisle's air handlers from the airflow at full fan speed of the servers and hosts that it was built for."""
    _known(inlet.aisle_air_supply_share, fleet.aisle_ids, "aisle_air_supply_share")
    _known(inlet.aisle_supply_offset_c, fleet.aisle_ids, "aisle_supply_offset_c")
    (servers, hosts), host_full, built = housed, host_model()[2], fleet.built_servers
    for index, aisle in enumerate(fleet.aisle_ids):
        flow = full[:built][servers["aisle"][:built] == index].sum() + host_full * int((hosts["aisle"] == index).sum())
        aisles["design_m3_per_s"][index] = max(flow, 1e-3) * inlet.aisle_air_supply_share.get(aisle, inlet.air_supply_share)
        aisles["supply_offset_c"][index] = inlet.aisle_supply_offset_c.get(aisle, 0.0)
        # An aisle without racks still needs a divisor.
        aisles["flow_w_per_c"][index] = max(flow, 1e-3) * AIR_J_PER_M3_K
    aisles["air_share"] = aisles["air_target_share"] = 1.0
