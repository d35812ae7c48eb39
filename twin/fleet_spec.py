"""What a fleet file may say: rows, racks, machines, feeds, aisles."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class _Row(BaseModel):
    """What every row says: its cold aisle, its power budget, how it is cooled and fed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    aisle: str
    power_budget_w: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    cooling: Literal["air", "liquid"] = "air"
    pdus: Annotated[tuple[str, ...], Field(max_length=2)] = ()


class RowSpec(_Row):
    """One row of equal racks: ids are counted up from the first rack's and the first server's."""

    kind: Literal["gpu", "host"]
    racks: Annotated[int, Field(ge=1, le=1000)]
    first_rack: str
    per_rack: Annotated[int, Field(ge=1, le=64)]
    first_server: str
    model: str


class MachineSpec(BaseModel):
    """One server of eight GPUs, or one CPU host, and its slot in the rack, counted from the bottom."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    slot: Annotated[int, Field(ge=0, le=1000)]
    model: str
    kind: Literal["gpu", "host"] = "gpu"


class RackSpec(BaseModel):
    """One rack, its place in the row (0 is beside the air handlers; places may be empty) and what stands in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    position: Annotated[int, Field(ge=0, le=10_000)]
    machine: Annotated[tuple[MachineSpec, ...], Field(max_length=64)] = ()


class RackedRowSpec(_Row):
    """One row whose racks are listed, each as it is: of any size, with several models, hosts among them."""

    rack: Annotated[tuple[RackSpec, ...], Field(min_length=1, max_length=1000)]


class UpsSpec(BaseModel):
    """One UPS unit and the load that it can carry without end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    rated_w: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class PduSpec(BaseModel):
    """One PDU, its rating, and the UPS units that feed it (all of the site where none is named)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    rated_w: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    ups: tuple[str, ...] = ()


class AisleSpec(BaseModel):
    """One contained cold aisle and the air handlers that feed it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Id
    air_handlers: Annotated[int, Field(ge=1, le=64)] = 4


def _form(row: Any) -> str:
    listed = isinstance(row, RackedRowSpec) or (isinstance(row, dict) and "rack" in row)
    return "listed" if listed else "equal"


class FleetSpec(BaseModel):
    """A fleet file. Without ``ups`` and ``pdu`` the site has four UPS units in 4N/3, and a pair of PDUs for each row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    site_power_budget_w: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    aisle: tuple[AisleSpec, ...]
    row: tuple[Annotated[Annotated[RowSpec, Tag("equal")] | Annotated[RackedRowSpec, Tag("listed")], Discriminator(_form)], ...]
    ups: tuple[UpsSpec, ...] = ()
    pdu: tuple[PduSpec, ...] = ()
    model: dict[Id, dict[str, float | str]] = {}
