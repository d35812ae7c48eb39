"""The library of executors: packaged or own, and the terms they run under."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from twin.sources import calibration, home_dir, import_suffix, imported, imported_table
from twin.workflows.executors import Executor, Profile
from twin.workflows.graph import Per

IMPORT_KIND: Final = "executors"
_IMPORT: Final = re.compile(r"^import:([a-z0-9-]{1,40})$")
_GPU_KINDS: Final = ("a100", "h100")


@dataclass(frozen=True, slots=True)
class Terms:
    """What hardware draws at rest (W per GPU) and costs (USD per GPU-hour and core-hour), and how fast data goes between instances.

    ``endpoint_usd_per_million_tokens``, ``endpoint_j_per_token`` and ``call_w`` are what others' work for a job is counted at.
    ``spot_price_share`` and ``harvest_price_share`` are what surplus GPUs and cores cost of the regular price. Instances are planned
    ``utilisation_share`` full, where an owner sizes for the peak ``peak_utilisation_share``.
    """

    idle_w: Mapping[str, float]
    gpu_usd_per_h: Mapping[str, float]
    core_usd_per_h: float
    spot_price_share: float
    harvest_price_share: float
    network_bytes_per_s: float
    utilisation_share: float
    peak_utilisation_share: float
    endpoint_usd_per_million_tokens: float
    endpoint_j_per_token: float
    call_w: float

    def asked(self, executor: Executor, took_s: float) -> tuple[float, float]:
        """Return energy (J) and price (USD) of a request to an endpoint, by its tokens, or of a call of a function, by its time."""
        if executor.kind == "endpoint":
            tokens = executor.prompt_tokens + executor.output_tokens
            return tokens * self.endpoint_j_per_token, tokens * self.endpoint_usd_per_million_tokens / 1e6
        return took_s * self.call_w, took_s * self.core_usd_per_h / 3600.0


@dataclass(frozen=True, slots=True)
class DataType:
    """One type of data: the stage that makes it, whether once an item or a job, the bytes of one, and words that name it."""

    id: str
    title: str
    per: Per
    transfer_bytes: float
    words: tuple[str, ...]


def terms() -> Terms:
    """Return the packaged terms."""
    told = {name: float(entry["value"]) for name, entry in calibration("executors")["terms"].items()}
    return Terms(
        idle_w={kind: told[f"{kind}_idle_w"] for kind in _GPU_KINDS},
        gpu_usd_per_h={kind: told[f"{kind}_usd_per_h"] for kind in _GPU_KINDS},
        **{name: value for name, value in told.items() if name.partition("_")[0] not in _GPU_KINDS},
    )


def data_type(name: str) -> DataType:
    """Return a type of data; one that is not packaged is made once an item and called as it is written."""
    entry = calibration("executors")["data"].get(name)
    if entry is None:
        words = tuple(word for word in re.split(r"[-_ ]", name.lower()) if word)
        return DataType(name, name.replace("-", " ").capitalize(), "item", 0.0, words)
    return DataType(name, entry["title"], entry["per"], float(entry["bytes"]), tuple(entry["words"]))


def names() -> tuple[str, ...]:
    """Return the libraries there are: ``packaged``, then ``import:NAME`` for each own one."""
    own = (home_dir() / "imports" / IMPORT_KIND).glob(f"*{import_suffix(IMPORT_KIND)}")
    return ("packaged", *(f"import:{name}" for name in sorted(path.stem for path in own)))


def library(name: str) -> tuple[Executor, ...]:
    """Return a library by the name that settings give it; ValueError, one line, for one that is not there."""
    if name == "packaged":
        return tuple(_executor(key, entry) for key, entry in calibration("executors")["executor"].items())
    own = _IMPORT.match(name)
    if own is None:
        raise ValueError(f"workflows.library: {name!r} is no library; there are: {', '.join(names())}")
    rows = imported_table(imported(IMPORT_KIND, own[1])).to_dicts()
    return of_rows(rows)


def fitted(executors: Sequence[Executor]) -> int:
    """Return how many profiles of a library were fitted to a published result."""
    return sum(profile.strength == "fitted" for executor in executors for profile in executor.profiles)


def of_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[Executor, ...]:
    """Return executors of rows as they are kept by an import: an executor each, its profiles as JSON."""
    return tuple(_executor(row["id"], {**row, "profiles": json.loads(row["profiles"])}) for row in rows)


def _executor(key: str, entry: Mapping[str, Any]) -> Executor:
    return Executor(
        id=key, title=entry["title"], kind=entry["kind"], reads=tuple(entry["reads"]), gives=tuple(entry["gives"]),
        quality_share=float(entry["quality_share"]), profiles=tuple(_profile(each) for each in entry["profiles"]),
        model=entry.get("model", ""), target=entry.get("target", ""),
        prompt_tokens=int(entry.get("prompt_tokens", 0)), output_tokens=int(entry.get("output_tokens", 0)),
    )  # fmt: skip


def _profile(entry: Mapping[str, Any]) -> Profile:
    return Profile(
        hardware=entry["hardware"], gpus=int(entry.get("gpus", 0)), cores=int(entry.get("cores", 0)), item_s=float(entry["item_s"]),
        batch_at_most=int(entry.get("batch_at_most", 1)), batch_slowdown=float(entry.get("batch_slowdown", 0.0)),
        active_w=float(entry.get("active_w", 0.0)), core_w=float(entry.get("core_w", 0.0)), start_s=float(entry.get("start_s", 0.0)),
        usd_per_h=float(entry.get("usd_per_h", 0.0)), source=entry["source"], strength=entry["strength"],
        idle_w=float(entry.get("idle_w", 0.0)),
    )  # fmt: skip
