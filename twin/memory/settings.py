"""How a site pools memory, as its scenario writes it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from twin.sources import calibration

GIB = 1 << 30


def _default(path: str) -> Any:
    table, _, name = path.partition(".")
    return Field(default_factory=lambda: calibration("memory")[table][name]["value"])


class Settings(BaseModel):
    """What may be pooled, what it costs and what a saving is held against.

    ``pooled_share`` of each VM's memory may lie on pool devices, in slices of ``slice_bytes``; the rest is local. ``prices`` is a
    table of ``data/calibration/memory.toml`` or ``import:NAME``. ``saving_against`` names the baseline of ``dram_saving_share``:
    every host with the DRAM of its own peak, or every host with that of the worst one. ``cable_slack_m`` is added to each cable
    for its service loop.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pooled_share: Annotated[float, Field(ge=0, le=1)] = _default("pool.pooled_share")
    slice_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 40)] = GIB
    prices: Annotated[str, Field(pattern=r"^(import:)?[a-z0-9][a-z0-9-]*$", max_length=47)] = "v3-recalled"
    saving_against: Literal["sum_of_peaks", "uniform_sku"] = "sum_of_peaks"
    cable_slack_m: Annotated[float, Field(ge=0, le=1)] = _default("layout.slack_m")
    sample_s: Annotated[float, Field(ge=10, le=3600)] = 300.0
