"""The negotiation of a report: prices, optimisations, notices, a chain."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from app.charts import chains
from app.charts.statements import count, plainly
from app.shelf import StoredRun
from twin.sources import calibration
from twin.units import NARROW_SPACE, show
from twin.workloads.negotiation.classes import named
from twin.workloads.negotiation.notices import kinds
from twin.workloads.negotiation.settings import Settings
from twin.workloads.negotiation.treatments import TREATMENTS

Sides = Mapping[str, StoredRun]
_TITLES: Final = {each.name: each.title for each in TREATMENTS}
_SURPLUS: Final = [each.name for each in TREATMENTS if each.surplus]
_TEXT: Final = (pl.Categorical, pl.Enum)
_NOTHING: Final = "–"
# Of its VM-hours, what an optimisation or a missing hint must concern to be told of a workload.
_TOLD_SHARE: Final = 0.005
_MISSING_TOLD: Final = 3
# What is told of a chain that lasts: its first half hour.
_CHAIN_S: Final = 1800.0


@dataclass(frozen=True)
class Part:
    """A table of the section: what it says as a statement, its heads (``words`` of them are words, the rest numbers), its rows."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1
    note: str = ""


@dataclass(frozen=True)
class NegotiationSection:
    """What workloads and platform agreed on, and what of it is assumed; plain words only."""

    title: str
    why: str
    parts: tuple[Part, ...]
    chain_title: str = ""
    chain: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def section(sides: Sides) -> NegotiationSection | None:
    """Return the section on the negotiation, read off the tables of the runs; None where nobody negotiates.

    ``sides`` has ``today`` and, where there is one, ``candidate``; the last one is what it is about.
    """
    run = list(sides.values())[-1] if sides else None
    bills = None if run is None else _table(run, "bills")
    if run is None or bills is None or bills.is_empty():
        return None
    before = {role: side for role, side in sides.items() if side is not run}
    parts = [_prices(run, before), _offers(run, bills), _missing(run, bills), _requirements(run, before), _notices(run)]
    chain_title, chain = _chain(run)
    found = tuple(part for part in parts if part is not None and part.rows)
    return NegotiationSection(_title(run, bills), _why(run, bills), found, chain_title, chain, tuple(_unknown(run)))


# -- what it came to ------------------------------------------------------------------


def _title(run: StoredRun, bills: pl.DataFrame) -> str:
    cut, broken = _cut(bills), float(bills["broken_vm_hours"].sum())
    pay = "customers pay the regular price" if cut is None or cut < 5e-5 else f"customers pay {_percent(cut)} less"
    kept = "no requirement is broken" if broken <= 0.0 else f"requirements are broken for {_hours(broken)} VM-hours"
    return f"{pay}, {kept}"


def _why(run: StoredRun, bills: pl.DataFrame) -> str:
    words = [f"{count(bills['workload_id'].n_unique(), 'workload')} with {_hours(float(bills['vm_hours'].sum()))} VM-hours negotiate"]
    evictions, honoured = (run.metrics.get(f"workloads.{name}") for name in ("evictions", "notices_honoured_share"))
    if evictions is not None:
        words.append(f"{show(evictions, 'workloads.evictions')} VMs are evicted a day" if evictions else "no VM is evicted")
    if honoured is not None:
        words.append(f"{_percent(honoured)} of the events took place at least their lead time after their notice")
    emitted, regular = float(bills["carbon_kg"].sum()), float(bills["regular_carbon_kg"].sum())
    if regular:
        words.append(f"their power emits {show(emitted, 'x_kg')}, opaque VMs {show(regular, 'x_kg')} for the same work")
    return f"{words[0][0].upper()}{words[0][1:]}; {'; '.join(words[1:])}." if words[1:] else f"{words[0]}."


def _prices(run: StoredRun, before: Sides) -> Part:
    """Return a row a workload: its class, what it would cost, and what it is billed less, beside today's."""
    classes, tenants = _classes(run)
    frames = {**{role: _table(side, "bills") for role, side in before.items()}, "now": _table(run, "bills")}
    names = frames["now"]["workload_id"].unique(maintain_order=True).to_list()
    rows = []
    for name in (*names, ""):
        mine = {role: frame if not name else frame.filter(pl.col("workload_id") == name) for role, frame in frames.items()}
        now = mine["now"]
        cuts = (_cut(frame) for frame in mine.values())
        rows.append(
            (
                plainly(name) if name else "all",
                classes.get(tenants.get(name, ""), tenants.get(name, "")) if name else "",
                show(float(now["regular_usd"].sum()), "x_usd"),
                show(float(now["billed_usd"].sum()), "x_usd"),
                *(_NOTHING if cut is None else _percent(cut) for cut in cuts),
                _hours(float(now["away_vm_hours"].sum())),
            )
        )
    cut_heads = [f"Cut, {role}" for role in before] + ["Cut, candidate" if before else "Cut"]
    heads = ("Workload", "Class", "At the regular price", "Billed", *cut_heads, "VM-hours away")
    note = "Cut: what is billed less than at the regular on-demand price for the time in which VMs run."
    return Part("What each workload pays", heads, tuple(rows), 2, note)


def _offers(run: StoredRun, bills: pl.DataFrame) -> Part | None:
    """Return a row an optimisation that was granted: its share of each workload's VM-hours, and what it saved."""
    offers = _table(run, "offers").filter(pl.col("state") == "granted")
    if offers.is_empty():
        return None
    hours = dict(bills.group_by("workload_id").agg(pl.col("vm_hours").sum()).iter_rows())
    names = [name for name in bills["workload_id"].unique(maintain_order=True).to_list() if hours[name]]
    sums = {
        (what, whose): (vm_hours, saved)
        for what, whose, vm_hours, saved in offers.group_by("optimisation", "workload_id")
        .agg(pl.col("vm_hours").sum(), pl.col("saved_usd").sum())
        .iter_rows()
    }
    rows = []
    for each in TREATMENTS:
        mine = [sums.get((each.name, name), (0.0, 0.0)) for name in names]
        if any(vm_hours for vm_hours, _ in mine):
            shares = (vm_hours / hours[name] for name, (vm_hours, _) in zip(names, mine, strict=True))
            cells = (_percent(share) if share else _NOTHING for share in shares)
            rows.append((each.title, *cells, show(sum(saved for _, saved in mine), "x_usd")))
    heads = ("Optimisation", *(plainly(name) for name in names), "Saved")
    return Part("Who gets which optimisation", heads, tuple(rows), 1, "Of a workload's VM-hours; savings in the order of application.")


def _missing(run: StoredRun, bills: pl.DataFrame) -> Part | None:
    """Return, a row a workload, which hints would open more; those whose VMs all run on surplus capacity have the lowest price."""
    table = _table(run, "offers")
    offers = table.filter(pl.col("state").is_in(["missing", "forbidden"]) & (pl.col("key") != ""))
    cheapest = table.filter((pl.col("state") == "granted") & pl.col("optimisation").is_in(_SURPLUS))
    lowest = dict(cheapest.group_by("workload_id").agg(pl.col("vm_hours").sum()).iter_rows())
    hours = dict(bills.group_by("workload_id").agg(pl.col("vm_hours").sum()).iter_rows())
    sums = offers.group_by("workload_id", "optimisation", "key", "state").agg(pl.col("vm_hours").sum())
    rows = []
    for name in bills["workload_id"].unique(maintain_order=True).to_list():
        if lowest.get(name, 0.0) >= (1.0 - _TOLD_SHARE) * hours[name]:
            continue
        mine = sums.filter((pl.col("workload_id") == name) & (pl.col("vm_hours") > _TOLD_SHARE * hours[name]))
        most = mine.sort("vm_hours", "optimisation", "key", descending=[True, False, False]).head(_MISSING_TOLD)
        said = [
            f"{_TITLES[what]} {'lacks' if state == 'missing' else 'is forbidden by'} {key} ({_percent(vm_hours / hours[name])})"
            for what, key, state, vm_hours in most.select("optimisation", "key", "state", "vm_hours").iter_rows()
        ]
        rows += [(plainly(name), "; ".join(said))] if said else []
    if not rows:
        return None
    note = f"The {_MISSING_TOLD} that concern the most VM-hours (share of the workload's)."
    return Part("Which hints would open more", ("Workload", "What for"), tuple(rows), 2, note)


# -- what was kept --------------------------------------------------------------------


def _requirements(run: StoredRun, before: Sides) -> Part | None:
    """Return a row a requirement: who has it, who had it broken, and for how long, beside today's."""
    table = _table(run, "requirements")
    if table.is_empty():
        return None
    others = [_table(side, "requirements") for side in before.values()]
    rows = []
    for name in sorted(table["requirement"].unique().to_list()):
        mine = table.filter(pl.col("requirement") == name)
        broken = mine.filter(pl.col("broken_vm_hours") > 0.0)["workload_id"].unique(maintain_order=True).to_list()
        hours = [frame.filter(pl.col("requirement") == name)["broken_vm_hours"].sum() for frame in (*others, table)]
        whose = ", ".join(plainly(each) for each in sorted(broken)) or "nobody"
        rows.append((name[0].upper() + name[1:], whose, str(mine["workload_id"].n_unique()), *(_hours(float(each)) for each in hours)))
    heads = ("Requirement", "Broken for", "Workloads that have it", *(f"VM-hours broken, {role}" for role in before))
    last = "VM-hours broken, candidate" if before else "VM-hours broken"
    bad = any(row[1] != "nobody" for row in rows)
    title = "Requirements that hints state: some are broken" if bad else "Every requirement that hints state is kept"
    return Part(title, (*heads, last), tuple(rows), 2, "A VM whose requirement is broken is billed at the regular price for that hour.")


def _notices(run: StoredRun) -> Part | None:
    """Return a row a kind of notice: how many VMs were told, what they answered, what was done, and with what lead."""
    table = _table(run, "notices")
    if table.is_empty():
        return None
    rows = []
    for name, kind in kinds().items():
        mine = table.filter(pl.col("kind") == name)
        if mine.is_empty():
            continue
        answers, done = dict(mine.group_by("answer").len().iter_rows()), mine.filter(pl.col("outcome") == "done")
        had = (done["event_s"] - done["reached_s"]).drop_nans().min()
        rows.append(
            (
                chains.noun(name)[0].upper() + chains.noun(name)[1:],
                *(_count(number) for number in (mine.height, *(answers.get(word, 0) for word in chains.ANSWERS[1:]), done.height)),
                show(kind.lead_s, "x_s"),
                # An event that its workload agreed to at once may come sooner, and is honoured all the same.
                _NOTHING if had is None else show(float(had), "x_s"),  # type: ignore[arg-type]
                _count(int((~done["honoured"]).sum())),
            )
        )
    heads = ("Notice", "VMs told", "Accepted", "Declined", "Ignored", "Took place", "Lead due", "Shortest lead", "Too late")
    note = "Lead: from a notice's reaching its VM to its event; a workload that says that it is ready may be served sooner."
    return Part("What VMs were told, and how early", heads, tuple(rows), 1, note)


def _chain(run: StoredRun) -> tuple[str, tuple[str, ...]]:
    """Return the longest chain from cause to effect in words: most kinds of messages, then what could wait the least; empty without one."""
    messages = _table(run, "messages")
    if messages.is_empty():
        return "", ()
    sizes = messages.group_by("chain_id").len("messages")
    led = chains.telling(chains.summary(messages)).join(sizes, on="chain_id", how="left")
    if led.is_empty():
        return "", ()
    order = led.sort("weight", "urgent", "messages", "chain_id", descending=[True, True, True, False])
    whole = messages.filter(pl.col("chain_id") == int(order["chain_id"][0])).sort("t_s", "message_id")
    begin_s, end_s = float(whole["t_s"][0]), float(whole["t_s"][-1])
    chain, told = chains.episode(whole, (begin_s, begin_s + _CHAIN_S)), []
    for step in chains.steps(chain):
        when = "" if step.t_s is None else f"{run.clock.at(step.t_s):%H:%M:%S} "
        told.append(f"{when}{plainly(step.title)}{f': {step.under}' if step.under else ''}")
    if len(chain) < len(whole):
        told.append(f"It goes on until {run.clock.at(end_s):%H:%M} with {_count(len(whole) - len(chain))} more messages.")
    return chains.title(chain), tuple(told)


# -- what is not known ------------------------------------------------------------------


def _unknown(run: StoredRun) -> list[str]:
    """Return what prices and notices rest on that nobody has published or measured, by how strong it is."""
    said = _settings(run)
    entries, own = calibration("negotiation")["discount"], said.discounts
    weak: dict[str, list[str]] = {}
    for each in TREATMENTS:
        entry = entries[each.name]
        strength = "set by the scenario" if each.name in own else str(entry["strength"])
        off = own.get(each.name, float(entry["value"]))
        span = f", {_percent(entry['low'])} to {_percent(entry['high'])} elsewhere" if "low" in entry and each.name not in own else ""
        weak.setdefault(strength, []).append(f"{each.title} {_percent(off)}{span}")
    lines = [f"Discounts that are {_STRENGTHS.get(strength, strength)}: {'; '.join(items)}." for strength, items in weak.items()]
    lines.append(f"A partial hint is taken to cover {_percent(said.partial_share)} of a workload's VMs: fitted, not published.")
    late = "as programs outside said it, by a log" if said.messages else "by small stated rules"
    lines.append(f"Workloads answer {late}; how many hints they give ({said.hints_per_h:g} a VM and hour) is proposed.")
    if said.surplus == "unlimited":
        lines.append("Surplus capacity is unlimited here: nobody is ever evicted for want of room.")
    return lines


_STRENGTHS: Final = {"memory": "recalled and not checked against a source", "proposed": "proposed here"}


# -- reading ------------------------------------------------------------------------------


def _settings(run: StoredRun) -> Settings:
    said: Any = (run.manifest.get("scenario", {}).get("workloads") or {}).get("negotiation") or {}
    return Settings.model_validate(said)


def _classes(run: StoredRun) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return titles of classes, and the class of each workload; ids stand for titles where an imported table is gone."""
    said = _settings(run)
    try:
        titles = {name: each.title for name, each in named(said.classes).items()}
    except (ValueError, OSError):
        titles = {}
    return titles, {tenant.id: tenant.workload_class for tenant in said.tenants}


def _table(run: StoredRun, name: str) -> pl.DataFrame:
    """Return a table with names as plain text; empty, with its columns, where the run has none."""
    from twin.workloads.negotiation import tables

    if name not in run.tables:
        known = next(each for each in tables.TABLES if each.name == name)
        return pl.DataFrame(schema={column.name: pl.String if column.dtype in _TEXT else column.dtype for column in known.columns})
    frame = run.tables[name]
    coded = [column for column, dtype in frame.collect_schema().items() if isinstance(dtype, _TEXT) or dtype in _TEXT]
    return frame.with_columns(pl.col(coded).cast(pl.String)).collect() if coded else frame.collect()


def _cut(bills: pl.DataFrame) -> float | None:
    regular = float(bills["regular_usd"].sum())
    return 1.0 - float(bills["billed_usd"].sum()) / regular if regular else None


def _percent(share: float) -> str:
    return show(share, "x_share")


def _hours(number: float) -> str:
    return _spaced(f"{number:,.1f}" if 0.0 < number < 99.5 else f"{number:,.0f}")


def _count(number: int) -> str:
    return _spaced(f"{number:,}")


def _spaced(text: str) -> str:
    return text.replace(",", NARROW_SPACE)
