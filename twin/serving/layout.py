"""Which instances there are: model replicas on the GPUs of servers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from twin.fleet import GPUS_PER_SERVER, Fleet
from twin.metrics import Scope
from twin.serving import latency
from twin.serving.demand import Demand, Synthetic
from twin.serving.levers import BATCH_HIGH, BATCH_LOW
from twin.sources import calibration

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Endpoint(BaseModel):
    """One served model: how its instances are built, who asks it, and what was promised.

    ``scheduler`` says whether the running batch stalls during a prefill or shares its iteration, ``attention`` what a prefill
    of several prompts is charged for (``twin.serving.batching``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=80)]
    model: Literal["8b", "70b"] = "8b"
    tp: Literal[1, 2, 4, 8] = 1
    engine: Literal["vllm", "trtllm"] = "vllm"
    scheduler: Literal["prefill_first", "shared"] = "prefill_first"
    attention: Literal["per_request", "whole_batch"] = "per_request"
    max_batch: Annotated[int, Field(ge=BATCH_LOW, le=BATCH_HIGH)] = BATCH_HIGH
    demand: Demand = Synthetic()
    ttft_slo_s: Annotated[float, Field(gt=0, le=600)] = 2.0
    atgt_slo_s: Annotated[float, Field(gt=0, le=60)] = 0.1
    quality_share: Annotated[float, Field(ge=0, le=1)] = 1.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Every instance, endpoint by endpoint; shapes I instances, E endpoints.

    The instances of endpoint ``e`` are ``first[e] .. first[e + 1] - 1``; their numbers, and the ids
    ``endpoint/number``, count from 1. ``coefficients`` has the columns of ``twin.serving.latency``.
    """

    ids: tuple[str, ...]
    first: Ints
    endpoint: Ints
    server: Ints
    row: Ints
    rack: Ints
    first_gpu: Ints
    gpus: Ints
    number: Ints
    usd_per_h: Floats
    coefficients: Floats

    def part(self, endpoint: int) -> slice:
        """Return where the instances of one endpoint lie."""
        return slice(int(self.first[endpoint]), int(self.first[endpoint + 1]))

    def gpu_instances(self, gpus: int) -> Ints:
        """Return the instance of each GPU of the fleet, the number of instances where there is none."""
        owner = np.full(gpus, len(self.ids), dtype=np.int64)
        for index, (start, width) in enumerate(zip(self.first_gpu, self.gpus, strict=True)):
            owner[start : start + width] = index
        return owner


def layout(
    endpoints: tuple[Endpoint, ...],
    fleet: Fleet,
    placements: Mapping[str, tuple[int, ...]],
    overhead_s: float,
    tariffs: Mapping[str, float],
) -> Layout:
    """Fill the servers of each endpoint with instances; ValueError names an endpoint that cannot stand where it is put."""
    rows: list[tuple[int, int, int, int, int]] = []
    coefficients: list[tuple[float, ...]] = []
    usd_per_h: list[float] = []
    taken: dict[int, str] = {}
    first = [0]
    for index, spec in enumerate(endpoints):
        servers = sorted(placements.get(spec.id, ()))
        if not servers:
            raise ValueError(f"serving.endpoints: {spec.id} has no servers; give it some or leave it out")
        number = 0
        for server in servers:
            if server in taken:
                raise ValueError(
                    f"serving.endpoints: {fleet.server_ids[server]} is given to {taken[server]} and {spec.id}; one endpoint a server"
                )
            taken[server] = spec.id
            gpu = fleet.model_names[int(fleet.server_models[server])]
            row = _coefficients(spec, gpu, overhead_s)
            for slot in range(GPUS_PER_SERVER // spec.tp):
                number += 1
                rows.append((index, server, server * GPUS_PER_SERVER + slot * spec.tp, spec.tp, number))
                coefficients.append(row)
                usd_per_h.append(spec.tp * _tariff(gpu, tariffs))
        first.append(len(rows))
    table = np.array(rows, dtype=np.int64).reshape(-1, 5)
    return Layout(
        ids=tuple(f"{endpoints[row[0]].id}/{row[4]}" for row in rows),
        first=np.array(first, dtype=np.int64),
        endpoint=table[:, 0].copy(),
        server=table[:, 1].copy(),
        row=fleet.server_rows[table[:, 1]],
        rack=fleet.server_racks[table[:, 1]],
        first_gpu=table[:, 2].copy(),
        gpus=table[:, 3].copy(),
        number=table[:, 4].copy(),
        usd_per_h=np.array(usd_per_h, dtype=np.float64),
        coefficients=np.array(coefficients, dtype=np.float64).reshape(-1, len(latency.COLUMNS)),
    )


def _coefficients(spec: Endpoint, gpu: str, overhead_s: float) -> tuple[float, ...]:
    try:
        values = list(latency.profile(gpu, spec.engine, spec.model, spec.tp).coefficients)
    except ValueError as error:
        raise ValueError(f"serving.endpoints: {spec.id}: {error}") from None
    if values[latency.KV_TOKENS] <= 0:
        raise ValueError(f"serving.endpoints: {spec.id}: the weights of {spec.model} leave no memory on {spec.tp} x {gpu}; raise tp")
    values[latency.OVERHEAD_S] = overhead_s
    return tuple(values)


def _tariff(gpu: str, tariffs: Mapping[str, float]) -> float:
    return float(tariffs[gpu]) if gpu in tariffs else float(calibration("serving")["gpu"][gpu]["tariff_usd_per_h"])


def members(place: Layout, fleet: Fleet, endpoint_ids: tuple[str, ...], scopes: tuple[Scope, ...]) -> NDArray[np.bool_]:
    """Return which instances lie in the scopes, shape I: of any endpoint that is named, in any of the places that are named."""
    of_kind = {
        "endpoint": (place.endpoint, endpoint_ids),
        "row": (place.row, fleet.row_ids),
        "rack": (place.rack, fleet.rack_ids),
        "server": (place.server, fleet.server_ids),
    }
    if any(scope.kind not in of_kind for scope in scopes):
        return np.zeros(len(place.ids), dtype=np.bool_)
    hit = np.ones(len(place.ids), dtype=np.bool_)
    for kinds in (("endpoint",), ("row", "rack", "server")):
        named = [(of_kind[scope.kind], scope.id) for scope in scopes if scope.kind in kinds]
        inside = [index == ids.index(name) for (index, ids), name in named if name in ids]
        if named:
            hit &= np.logical_or.reduce(inside, axis=0) if inside else False
    return hit
