"""Which instances there can be: slots on the GPUs of servers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from twin.fleet import GPUS_PER_SERVER, Fleet
from twin.metrics import Scope
from twin.serving import images, latency
from twin.serving.demand import Demand, Synthetic
from twin.serving.levers import BATCH_HIGH, BATCH_LOW
from twin.sources import calibration

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Width = Literal[1, 2, 4, 8]
Precision = Literal["bf16", "fp8"]


class Variant(BaseModel):
    """Another model that the instances of an endpoint may hold, and how good its answers are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    precision: Precision = "bf16"
    quality_share: Annotated[float | None, Field(ge=0, le=1)] = None

    @property
    def quality(self) -> float:
        """Return how good its answers are, the largest model's being 1; the calibration's where the scenario says nothing."""
        return latency.quality_share(self.model, self.precision) if self.quality_share is None else self.quality_share

    @field_validator("model")
    @classmethod
    def _known(cls, model: str) -> str:
        if model not in latency.model_names():
            raise ValueError(f"model {model!r} is unknown; it is one of {', '.join(latency.model_names())}")
        return model


class Endpoint(Variant):
    """One served model: how its instances are built, who asks it, and what was promised.

    Instances are slots of ``tp`` GPUs, and of each width in ``tp_choices`` for policies that choose the width. ``variants``
    are models that instances may hold instead of ``model`` (place 0 of the list that policies see). ``scheduler`` says
    whether the running batch stalls during a prefill, shares its iteration, or shares it with chunks of prompts;
    ``attention`` what a prefill of several prompts is charged for; ``kv`` whether the cache grows while decoding (and
    requests are preempted when it is full) or is reserved at admission (``twin.serving.batching``). ``latency`` is the
    built-in profile or ``imported:NAME`` for ``model``; variants have built-in ones. ``encode_factor`` is how many times the
    built-in time its encoders take: those are composed from kernels, and a real engine adds to them.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=80)]
    model: str = "8b"
    tp: Width = 1
    tp_choices: tuple[Width, ...] = ()
    variants: tuple[Variant, ...] = ()
    engine: Literal["vllm", "trtllm"] = "vllm"
    latency: Annotated[str, Field(pattern=r"^(built-in|imported:[a-z0-9-]{1,40})$")] = "built-in"
    scheduler: Literal["prefill_first", "shared", "chunked"] = "prefill_first"
    attention: Literal["per_request", "whole_batch"] = "per_request"
    kv: Literal["paged", "reserved"] = "paged"
    prefill_tokens: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    max_batch: Annotated[int, Field(ge=BATCH_LOW, le=BATCH_HIGH)] = BATCH_HIGH
    encode_factor: Annotated[float, Field(ge=0.1, le=100)] = 1.0
    demand: Demand = Synthetic()
    ttft_slo_s: Annotated[float, Field(gt=0, le=600)] = 2.0
    atgt_slo_s: Annotated[float, Field(gt=0, le=60)] = 0.1

    @model_validator(mode="after")
    def _one_kind_of_image(self) -> "Endpoint":
        kinds = {images.vision(choice.model) is not None for choice in self.choices}
        if len(kinds) > 1:
            raise ValueError("variants: the models of one endpoint all read images or none does; give the others their own endpoint")
        return self

    @property
    def choices(self) -> tuple[Variant, ...]:
        """Return the models that instances may hold, the configured one first."""
        return (self, *self.variants)

    @property
    def vision(self) -> images.Vision | None:
        """Return how its model reads images, None for a model of text."""
        return images.vision(self.model)


@dataclass(frozen=True, slots=True)
class Layout:
    """Every slot, endpoint by endpoint; shapes I instances, E endpoints, V variants.

    The instances of endpoint ``e`` are ``first[e] .. first[e + 1] - 1``: those of its own width server by server, then those
    of its other widths. Their numbers, and the ids ``endpoint/number``, count from 1. ``profiles`` has the columns of
    ``twin.serving.latency`` for each variant, shape V x I x columns, not a number where a variant does not fit.
    ``encode_s`` is base and per-tile time of encoding, shape V x I x 2.
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
    configured: Bools
    usd_per_h: Floats
    profiles: Floats
    encode_s: Floats

    @property
    def coefficients(self) -> Floats:
        """Return the latency coefficients of the configured models, shape I x columns."""
        return np.asarray(self.profiles[0])

    def part(self, endpoint: int) -> slice:
        """Return where the instances of one endpoint lie."""
        return slice(int(self.first[endpoint]), int(self.first[endpoint + 1]))

    def gpu_instances(self, gpus: int, held: Bools) -> Ints:
        """Return the instance of each GPU of the fleet, the number of instances where there is none.

        Of slots that share a GPU it is the one that is ``held`` (shape I), else the configured one.
        """
        owner = np.full(gpus, len(self.ids), dtype=np.int64)
        for index in [*np.flatnonzero(self.configured), *np.flatnonzero(held & ~self.configured)]:
            owner[self.first_gpu[index] : self.first_gpu[index] + self.gpus[index]] = index
        return owner

    def rivals(self) -> dict[int, Ints]:
        """Return of each slot that shares GPUs with others which those are."""
        found: dict[int, Ints] = {}
        ends = self.first_gpu + self.gpus
        for index in range(len(self.ids)):
            over = (self.first_gpu < ends[index]) & (ends > self.first_gpu[index])
            over[index] = False
            if over.any():
                found[index] = np.flatnonzero(over)
        return found


def layout(
    endpoints: tuple[Endpoint, ...],
    fleet: Fleet,
    placements: Mapping[str, tuple[int, ...]],
    overhead_s: float,
    tariffs: Mapping[str, float],
) -> Layout:
    """Fill the servers of each endpoint with slots; ValueError names an endpoint that cannot stand where it is put."""
    rows: list[tuple[int, int, int, int, int]] = []
    profiles: list[list[tuple[float, ...]]] = []
    encode_s: list[list[tuple[float, float]]] = []
    usd_per_h: list[float] = []
    taken: dict[int, str] = {}
    first = [0]
    most = max((len(spec.choices) for spec in endpoints), default=1)
    for index, spec in enumerate(endpoints):
        for number, (server, first_gpu, width) in enumerate(_slots(spec, fleet, sorted(placements.get(spec.id, ())), taken)):
            gpu = fleet.model_names[int(fleet.server_models[server])]
            rows.append((index, server, first_gpu, width, number + 1))
            choices = [_profile(spec, choice, gpu, width, overhead_s) for choice in spec.choices]
            profiles.append(choices + [_NONE] * (most - len(choices)))
            encode_s.append([_encode_s(spec, choice, gpu, width) for choice in spec.choices] + [(0.0, 0.0)] * (most - len(choices)))
            usd_per_h.append(width * _tariff(gpu, tariffs))
        first.append(len(rows))
    table = np.array(rows, dtype=np.int64).reshape(-1, 5)
    own = np.array([spec.tp for spec in endpoints], dtype=np.int64)
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
        configured=table[:, 3] == own[table[:, 0]],
        usd_per_h=np.array(usd_per_h, dtype=np.float64),
        profiles=_by_variant(profiles, most, len(latency.COLUMNS)),
        encode_s=_by_variant(encode_s, most, 2),
    )


_NONE = (float("nan"),) * len(latency.COLUMNS)


def _by_variant(rows: list[list[tuple[float, ...]]] | list[list[tuple[float, float]]], variants: int, columns: int) -> Floats:
    table = np.array(rows, dtype=np.float64).reshape(-1, variants, columns)
    return np.ascontiguousarray(table.transpose(1, 0, 2))


def _slots(spec: Endpoint, fleet: Fleet, servers: list[int], taken: dict[int, str]) -> Iterator[tuple[int, int, int]]:
    """Yield server, first GPU and width of each slot of an endpoint: its own width first."""
    if not servers:
        raise ValueError(f"serving.endpoints: {spec.id} has no servers; give it some or leave it out")
    for server in servers:
        if server in taken:
            raise ValueError(
                f"serving.endpoints: {fleet.server_ids[server]} is given to {taken[server]} and {spec.id}; one endpoint a server"
            )
        taken[server] = spec.id
    for width in (spec.tp, *sorted(set(spec.tp_choices) - {spec.tp})):
        for server in servers:
            for slot in range(GPUS_PER_SERVER // width):
                yield server, server * GPUS_PER_SERVER + slot * width, width


def _profile(spec: Endpoint, choice: Variant, gpu: str, width: int, overhead_s: float) -> tuple[float, ...]:
    """Return the latency coefficients of a model on some GPUs; not a number where a variant does not fit."""
    own = choice is spec
    try:
        named = spec.latency if own else "built-in"
        vision = images.vision(choice.model)
        beside = 0 if vision is None else vision.encoder_weight_bytes
        values = list(latency.resolve(named, gpu, spec.engine, choice.model, width, choice.precision, beside).coefficients)
    except ValueError as error:
        if not own:
            return _NONE
        raise ValueError(f"serving.endpoints: {spec.id}: {error}") from None
    if values[latency.KV_TOKENS] <= 0:
        if not own:
            return _NONE
        raise ValueError(
            f"serving.endpoints: {spec.id}: the weights of {choice.model} leave no memory on {width} x {gpu}; "
            + ("raise tp" if width == spec.tp else f"take {width} out of tp_choices")
        )
    values[latency.OVERHEAD_S] = overhead_s
    return tuple(values)


def _encode_s(spec: Endpoint, choice: Variant, gpu: str, width: int) -> tuple[float, float]:
    vision = images.vision(choice.model)
    if vision is None:
        return 0.0, 0.0
    base_s, per_tile_s = images.encode_s(vision, gpu, width)
    return spec.encode_factor * base_s, spec.encode_factor * per_tile_s


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
