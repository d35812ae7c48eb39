"""Traces of VMs from outside: three of Azure's, and plain tables."""

import csv
import sqlite3
import zlib
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from twin.clock import HOUR_S
from twin.serving import tabular
from twin.sources import calibration

GIB: Final = 1 << 30
_DAY_S: Final = 86_400.0
_ACCEPTED: Final = (
    "the vmtable CSV of Azure 2017 or 2019 (plain or in gzip), the SQLite file of Azure packing 2020, or CSV or Parquet with "
    "arrive_s, end_s or duration_s, vcpus, memory_gb and, where known, tenant"
)
# Azure's table of VMs has no header. Times are five-minute marks; the last one is the end of the recording.
_VMTABLE: Final = (
    "vmid", "subscriptionid", "deploymentid", "vmcreated", "vmdeleted", "maxcpu", "avgcpu", "p95maxcpu", "vmcategory",
    "vmcorecountbucket", "vmmemorybucket",
)  # fmt: skip
_MARK_S: Final = 300.0
# As published by Bergsma et al. (SOSP 2021): arrivals in five-minute bins, lifetimes in bins from their low to their high mark.
_BINNED: Final = frozenset({"t_arrive_s", "vcpu", "mem_gb", "dur_lo_s", "dur_hi_s"})
_PACKING: Final = (
    "SELECT vm.tenantId, vm.starttime, vm.endtime, kind.core, kind.memory FROM vm LEFT JOIN "
    "(SELECT vmTypeId, MIN(machineId), core, memory FROM vmType GROUP BY vmTypeId) AS kind ON vm.vmTypeId = kind.vmTypeId ORDER BY vm.rowid"
)
_PACKING_END_DAYS: Final = 90.0
# Hosts are full at the first of so many marks at which so much of the later mean is held.
_MARKS: Final = 100
_FULL_SHARE: Final = 0.9
_AT_ONCE: Final = 200_000
_TIMES: Final = (0.0, 1e10, "write seconds from 0 on")
_VCPUS: Final = (1e-9, 1024.0, "write a number above 0 and up to 1,024")
_MEMORY_GB: Final = (1e-9, 65_536.0, "write GB above 0 and up to 65,536")


class _Raw:
    """A table as it was read, and where its rows stand in the file: ``first_row`` is the number of the first of them."""

    def __init__(self, path: Path, frame: pl.DataFrame, first_row: int) -> None:
        self.path, self.frame, self._first_row = path, frame, first_row

    def numbers(self, column: str, bounds: tuple[float, float, str], empty: bool = False) -> pl.Series:
        """Return a column as numbers within bounds; ValueError names the first row that is not one. ``empty`` ones may be missing."""
        values = self.frame[column]
        found = (values.str.strip_chars() if values.dtype == pl.String else values).cast(pl.Float64, strict=False)
        bad = ~found.is_between(bounds[0], bounds[1]) | found.is_nan()
        bad = (bad.fill_null(False) | (found.is_null() & values.is_not_null())) if empty else bad.fill_null(True)
        self.refuse(column, bad, bounds[2])
        return found

    def refuse(self, column: str, bad: pl.Series, remedy: str) -> None:
        """Raise for the first bad row."""
        where = bad.arg_true()
        if len(where):
            value = self.frame[column][int(where[0])]
            shown = "is missing" if value is None else f"is {str(value)[:40]!r}"
            raise ValueError(f"{self.path.name}: row {int(where[0]) + self._first_row}, column {column}: the value {shown}; {remedy}")


def read(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Read a trace of any known form, by its contents.

    Returns VMs by arrival: arrive_s (from the beginning of the trace), arrive_within_s (how much later it may have been), life_s,
    life_longest_s (the range of its lifetime), vcpus, memory_bytes, tenant (a number), cut_off (whether it still ran when the
    recording ended); and what is worth knowing. ValueError, one line, names file, row and column of the first bad value.
    """
    begun = _begun(path)
    if begun.startswith(b"SQLite"):
        form, frame, notes = _packing(path)
    elif begun.startswith(b"PAR1"):
        form, frame, notes = _table(_Raw(path, _parquet(path), 1))
    elif _is_vmtable(begun):
        form, frame, notes = _vmtable(_headerless(path))
    else:
        form, frame, notes = _table(_Raw(path, tabular.read(path, _ACCEPTED), 2))
    if frame.is_empty():
        raise ValueError(f"{path.name}: holds no VM; export the trace again")
    first_s = float(frame["arrive_s"].min())  # type: ignore[arg-type]
    frame = frame.with_columns(
        pl.col("arrive_s") - first_s,
        pl.max_horizontal(pl.col("vcpus").round(), 1.0).cast(pl.Int64).alias("vcpus"),
        (pl.col("memory_gb") * GIB).round().cast(pl.Int64).alias("memory_bytes"),
        (pl.col("tenant").rank("dense") - 1).cast(pl.Int64),
    ).sort("arrive_s", maintain_order=True)
    kept = ("arrive_s", "arrive_within_s", "life_s", "life_longest_s", "vcpus", "memory_bytes", "tenant", "cut_off")
    return frame.select(kept), (f"{form} trace", *notes, *_about(frame))


def span_s(frame: pl.DataFrame) -> float:
    """Return how long a trace is: until its last arrival."""
    return float(frame.select((pl.col("arrive_s") + pl.col("arrive_within_s")).max()).item())


def _table(raw: _Raw) -> tuple[str, pl.DataFrame, tuple[str, ...]]:
    columns = set(raw.frame.columns)
    if columns >= _BINNED:
        return _binned(raw)
    if columns >= {"vmcreated", "vmdeleted"}:
        return _vmtable(raw)
    lasts = next((name for name in ("end_s", "duration_s") if name in columns), None)
    memory = next((name for name in ("memory_gb", "memory_bytes") if name in columns), None)
    for name, there in (
        ("arrive_s", "arrive_s" in columns),
        ("end_s or duration_s", lasts),
        ("vcpus", "vcpus" in columns),
        ("memory_gb", memory),
    ):
        if not there:
            raise ValueError(f"{raw.path.name}: row 1: no column {name}; write it as {_ACCEPTED}")
    assert lasts is not None
    assert memory is not None
    arrive_s, last_s = raw.numbers("arrive_s", _TIMES), raw.numbers(lasts, _TIMES)
    life_s = last_s - arrive_s if lasts == "end_s" else last_s
    raw.refuse(lasts, life_s <= 0.0, "a VM ends after it arrives")
    gb = raw.numbers(memory, _MEMORY_GB if memory == "memory_gb" else (1.0, _MEMORY_GB[1] * GIB, "write bytes from 1 on"))
    return "plain", _vms(
        raw.frame, "tenant", arrive_s, life_s, raw.numbers("vcpus", _VCPUS), gb if memory == "memory_gb" else gb / GIB
    ), ()  # fmt: skip


def _binned(raw: _Raw) -> tuple[str, pl.DataFrame, tuple[str, ...]]:
    arrive_s, low_s, high_s = (raw.numbers(name, _TIMES) for name in ("t_arrive_s", "dur_lo_s", "dur_hi_s"))
    raw.refuse("dur_hi_s", high_s < low_s, "write no less than dur_lo_s")
    frame = _vms(raw.frame, "batch", arrive_s, low_s, raw.numbers("vcpu", _VCPUS), raw.numbers("mem_gb", _MEMORY_GB))
    cut = raw.frame["censored"].cast(pl.Boolean) if "censored" in raw.frame.columns else pl.lit(False)
    frame = frame.with_columns(arrive_within_s=pl.lit(_MARK_S), life_longest_s=high_s + _MARK_S, cut_off=cut)
    return "binned Azure 2017", frame, ()


def _vmtable(raw: _Raw) -> tuple[str, pl.DataFrame, tuple[str, ...]]:
    created_s, deleted_s = (raw.numbers(name, _TIMES) for name in ("vmcreated", "vmdeleted"))
    raw.refuse("vmdeleted", deleted_s < created_s, "a VM ends after it arrives")
    beyond = 0
    columns = {}
    for name, bounds in (("vmcorecountbucket", _VCPUS), ("vmmemorybucket", _MEMORY_GB)):
        text = raw.frame[name].cast(pl.String).str.strip_chars()
        beyond = max(beyond, int(text.str.starts_with(">").sum()))
        raw.frame = raw.frame.with_columns(text.str.strip_prefix(">").alias(name))
        columns[name] = raw.numbers(name, bounds)
    life_s, first_s, last_s = deleted_s - created_s, created_s.min(), deleted_s.max()
    frame = _vms(raw.frame, "deploymentid", created_s, life_s, columns["vmcorecountbucket"], columns["vmmemorybucket"])
    frame = frame.with_columns(
        arrive_within_s=pl.when(created_s == first_s).then(0.0).otherwise(_MARK_S),
        life_longest_s=life_s + _MARK_S,
        cut_off=deleted_s == last_s,
    )
    notes = (f"{beyond:,} VMs lie above the last bucket of vCPUs or memory and are taken at its edge",) if beyond else ()
    return "Azure vmtable", frame, notes


def _packing(path: Path) -> tuple[str, pl.DataFrame, tuple[str, ...]]:
    """Read vm and vmType, whose sizes are parts of a machine; a type takes the size that it has on the machine with the lowest id."""
    names = ("tenantId", "starttime", "endtime", "core", "memory")
    schema = {"tenantId": pl.String, **dict.fromkeys(names[1:], pl.Float64)}
    try:
        with sqlite3.connect(f"file:{path.absolute().as_posix().replace('?', '%3f')}?mode=ro", uri=True) as base:
            found = base.execute(_PACKING)
            parts = []
            while rows := found.fetchmany(_AT_ONCE):
                parts.append(pl.DataFrame([(str(row[0]), *row[1:]) for row in rows], schema=schema, orient="row", strict=False))
    except sqlite3.Error as error:
        raise ValueError(f"{path.name}: cannot be read as a packing trace ({error}); it has the tables vm and vmType") from None
    raw = _Raw(path, pl.concat(parts) if parts else pl.DataFrame(schema=schema), 1)
    days = (-1e5, 1e5, "write days")
    start, end = raw.numbers("starttime", days), raw.numbers("endtime", days, empty=True)
    raw.refuse("endtime", (end <= start).fill_null(False), "a VM ends after it arrives")
    host = calibration("workloads")["host"]
    vcpus, gb = float(host["vcpus"]["value"]), float(host["packing_gb"]["value"])
    arrive = start.clip(lower_bound=0.0)
    life_s = (end.fill_null(_PACKING_END_DAYS) - arrive) * _DAY_S
    part = (1e-9, 1.0, "write the part of a machine that the VM's type takes, in vmType")
    frame = _vms(raw.frame, "tenantId", arrive * _DAY_S, life_s, raw.numbers("core", part) * vcpus, raw.numbers("memory", part) * gb)
    frame = frame.with_columns(cut_off=end.is_null()).filter(pl.col("life_s") > 0.0)
    gone = raw.frame.height - frame.height
    notes = [f"sizes are parts of a machine, taken as {vcpus:g} vCPUs and {gb:g} GB"]
    notes += [f"{gone:,} VMs that ended before the recording began are left out"] if gone else []
    return "Azure packing 2020", frame, tuple(notes)


def _vms(raw: pl.DataFrame, tenant: str, arrive_s: pl.Series, life_s: pl.Series, vcpus: pl.Series, memory_gb: pl.Series) -> pl.DataFrame:
    """Return VMs with exact times; each is its own tenant where the trace names none."""
    owner = raw[tenant].cast(pl.String).fill_null("") if tenant in raw.columns else pl.Series(range(raw.height), dtype=pl.Int64)
    columns = {"arrive_s": arrive_s, "life_s": life_s, "life_longest_s": life_s, "vcpus": vcpus, "memory_gb": memory_gb, "tenant": owner}
    frame = pl.DataFrame({name: series.rename(name) for name, series in columns.items()})
    return frame.with_columns(arrive_within_s=pl.lit(0.0), cut_off=pl.lit(False))


def _about(frame: pl.DataFrame) -> list[str]:
    tenants, cut = frame["tenant"].n_unique(), int(frame["cut_off"].sum())
    vcpus, size = frame["vcpus"].cast(pl.Float64), int(calibration("workloads")["host"]["vcpus"]["value"])
    per_vcpu = float(frame["memory_gb"].sum()) / float(vcpus.sum())
    lines = [f"{frame.height:,} VMs of {tenants:,} tenants, {float(vcpus.mean()):,.1f} vCPUs each, {per_vcpu:.3g} GB a vCPU"]  # type: ignore[arg-type]
    lines += [f"{cut:,} still ran when the recording ended"] if cut else []
    if (full_s := _full_s(frame)) >= HOUR_S:
        after = "run it from later on (from_s), after that and the days to design pods from"
        lines.append(f"hardly anybody stands at its beginning, hosts fill up for {full_s / HOUR_S:.0f} h: {after}")
    large = int((frame["vcpus"] > size).sum())
    return [*lines, *([f"{large:,} have more than the {size} vCPUs of a host: none takes them"] if large else [])]


def _full_s(frame: pl.DataFrame) -> float:
    """Return when a trace first holds nine tenths of the vCPUs that it holds in its second half; 0 where it does from the beginning."""
    marks_s = np.linspace(0.0, span_s(frame), _MARKS)
    begin_s, life_s, vcpus = (frame[name].cast(pl.Float64).to_numpy() for name in ("arrive_s", "life_s", "vcpus"))
    held = np.zeros(_MARKS)
    for times_s, sign in ((begin_s, 1.0), (np.where(frame["cut_off"].to_numpy(), np.inf, begin_s + life_s), -1.0)):
        order = np.argsort(times_s)
        sums = np.append(0.0, np.cumsum(vcpus[order]))
        held += sign * sums[np.searchsorted(times_s[order], marks_s, side="right")]
    return float(marks_s[np.argmax(held >= _FULL_SHARE * held[_MARKS // 2 :].mean())])


def _parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ValueError(f"{path.name}: cannot be read as Parquet ({str(error).splitlines()[0]:.80}); copy the trace again") from None


def _headerless(path: Path) -> _Raw:
    try:
        frame = pl.read_csv(path, has_header=False, infer_schema=False, new_columns=list(_VMTABLE))
    except (pl.exceptions.PolarsError, UnicodeDecodeError, OSError) as error:
        raise ValueError(f"{path.name}: {str(error).splitlines()[0]:.120}; write it as {_ACCEPTED}") from None
    return _Raw(path, frame, 1)


def _begun(path: Path) -> bytes:
    """Return the beginning of a file, unpacked; what cannot be read is for its reader to say."""
    try:
        with path.open("rb") as file:
            begun = file.read(1 << 14)
        return zlib.decompressobj(31).decompress(begun, 1 << 14) if begun.startswith(b"\x1f\x8b") else begun
    except (OSError, zlib.error):
        return b""


def _is_vmtable(begun: bytes) -> bool:
    """Return whether the first row is one of Azure's table of VMs: eleven values, of which the fourth and fifth are numbers."""
    try:
        row = next(csv.reader([begun.decode("utf-8", errors="replace").partition("\n")[0]]), [])
    except csv.Error:
        return False
    return len(row) == len(_VMTABLE) and all(value.strip().isdigit() for value in row[3:5])
