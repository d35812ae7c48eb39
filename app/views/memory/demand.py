"""What VMs asked of memory in the run that is shown, and of its devices."""

import html
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import polars as pl
import streamlit as st

from app import parts, state
from app.charts import pool as charts
from app.charts.quantity import grouped
from app.charts.statements import count, marks, plainly
from app.charts.timeline import Span
from twin.units import show

_T: Final = "t_s"


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods of a run: how many of them, their design, hosts and devices of each."""

    pods: int
    design: str
    hosts: int
    devices: int

    @property
    def words(self) -> str:
        """Return them as the subject of a sentence."""
        return f"{count(self.pods, 'pod').capitalize()} of {self.hosts} hosts and {self.devices} devices ({self.design})"


@st.fragment
def demand(now: state.Context) -> None:
    """Show demand and load of the run that is shown; without a pod, what its hosts need."""
    if now.run_id is None:
        parts.empty(
            "Nothing has run on the twin yet",
            "Demand per host and per device would stand here. Start the example on the Overview, or try a pod above.",
            key="memory-demand",
        )
        return
    home = str(state.home())
    needs = needed(home, now.run_id)
    if needs.is_empty():
        parts.empty(
            "No VM stood on a host in this run",
            "Its scenario has no VM stream on hosts; add one under [[workloads.host_streams]].",
            key="memory-demand",
        )
        return
    built = pods_of(home, now.run_id)
    if built is None:
        _hosts(home, now, needs)
    else:
        left, right = st.columns(2, gap="small")
        with left:
            _pool(home, now, built)
        with right:
            _devices(home, now)


# -- what a run's tables say, read once --------------------------------------------


@lru_cache(maxsize=16)
def pods_of(home: str, run_id: str) -> Pods | None:
    """Return the pods of a run; None where it had none."""
    rows = state.table(run_id, "pods")
    if rows.is_empty():
        return None
    row = rows.row(0, named=True)
    return Pods(len(rows), str(row["design"]), int(row["hosts"]), int(row["devices"]))


@lru_cache(maxsize=16)
def pooled(home: str, run_id: str) -> pl.DataFrame:
    """Return a row per sample of what all devices together were asked for, held, could hold, moved aside and turned away."""
    hosts = state.table(run_id, "memory_hosts").filter(pl.col("in_pod")).group_by(_T)
    asked = hosts.agg(pl.col("pooled_bytes").sum().alias("held_bytes"), pl.col("spilled_bytes").sum())
    room = state.table(run_id, "memory_devices").group_by(_T).agg(pl.col("capacity_bytes").sum())
    counted = state.table(run_id, "memory_pool").group_by(_T).agg(pl.col("migrated_bytes", "overflow_events", "overflow_bytes").sum())
    joined = (
        asked.join(room, on=_T).join(counted, on=_T).with_columns((pl.col("held_bytes") + pl.col("spilled_bytes")).alias("wanted_bytes"))
    )
    return joined.sort(_T)


@lru_cache(maxsize=16)
def spread(home: str, run_id: str) -> tuple[pl.DataFrame, str]:
    """Return a row per sample of how use spreads over devices, and the id of the one that comes nearest to full."""
    rows = state.table(run_id, "memory_devices").with_columns(pl.col("device_id").cast(pl.String))
    share = rows.with_columns((pl.col("used_bytes") / pl.col("capacity_bytes")).alias("share")).filter(pl.col("capacity_bytes") > 0)
    # Several are full at some time in most runs: the fullest is the one that is fullest on the whole of those.
    by = share.group_by("device_id").agg(pl.col("share").max().alias("most"), pl.col("share").mean().alias("mean"))
    fullest = str(by.sort("most", "mean", "device_id", descending=[True, True, False])["device_id"][0])
    used = pl.col("used_bytes")
    over = rows.group_by(_T).agg(
        used.min().alias("least_bytes"),
        used.median().alias("median_bytes"),
        used.max().alias("most_bytes"),
        used.filter(pl.col("device_id") == fullest).first().alias("fullest_bytes"),
        pl.col("capacity_bytes").max(),
    )
    return over.sort(_T), fullest


@lru_cache(maxsize=16)
def needed(home: str, run_id: str) -> pl.DataFrame:
    """Return a row per sample of what hosts need: the least, the median, the most, and all together."""
    rows = state.table(run_id, "memory_hosts")
    if rows.is_empty() or not rows["demand_bytes"].sum():
        return pl.DataFrame()
    need = pl.col("demand_bytes")
    over = rows.group_by(_T).agg(
        need.min().alias("least_bytes"), need.median().alias("median_bytes"), need.max().alias("most_bytes"), need.sum().alias("all_bytes")
    )
    return over.sort(_T)


def peaks(run_id: str) -> pl.Series:
    """Return the most that each host needed."""
    return state.table(run_id, "memory_hosts").group_by("host_id").agg(pl.col("demand_bytes").max())["demand_bytes"]


# -- the panels ------------------------------------------------------------------------


def _pool(home: str, now: state.Context, built: Pods) -> None:
    run_id = now.run_id or ""
    frame = pooled(home, run_id)
    title = pool_title(frame, now)
    with parts.panel(title, "pool", data=frame, sql=_POOL_SQL.format(run_id=run_id), png=True):
        events = state.table(run_id, "events")
        told = [] if events.is_empty() else marks(events.filter(pl.col("kind") != "pool_overflow"), "memory")
        fig = charts.pool(frame, told, state.colours(), _span(now), cursor_s=now.t_s, today=now.shown == "today")
        parts.plot(fig, "pool", alt=title)
        st.html(f'<p class="iw-note">{html.escape(f"{built.words}, {_name(now)}. {pool_words(frame, now)}")}</p>')


def pool_title(frame: pl.DataFrame, now: state.Context) -> str:
    """Return how full the devices came to be together, and whether all found room."""
    share = frame.with_columns((pl.col("held_bytes") / pl.col("capacity_bytes")).fill_nan(0.0).alias("share"))
    top = share.sort("share", descending=True).row(0, named=True)
    at = _clock(now, top[_T])
    over = int(frame["overflow_events"].sum())
    tail = (
        "nothing overflows" if not over else f"{grouped(over)} VM{'' if over == 1 else 's'} find{'s' if over == 1 else ''} too little room"
    )
    return f"The pool is {100 * top['share']:.0f}\u00a0% full at most, at {at}; {tail}"


def pool_words(frame: pl.DataFrame, now: state.Context) -> str:
    """Return what was moved aside, and what the marks are."""
    moved = float(frame["migrated_bytes"].sum())
    words = f"{show(moved, 'x_bytes')} were moved aside to make room (bars)." if moved else "Nothing was moved aside."
    if frame["overflow_events"].sum():
        words += f" {show(float(frame['overflow_bytes'].sum()), 'x_bytes')} stayed on hosts for want of room (crosses)."
    return words


def _devices(home: str, now: state.Context) -> None:
    run_id = now.run_id or ""
    frame, fullest = spread(home, run_id)
    rows = state.table(run_id, "memory_devices")
    ids = rows["device_id"].cast(pl.String).unique(maintain_order=True).to_list()
    title = devices_title(frame, fullest, now)
    with parts.panel(title, "pool-devices", data=rows, sql=_DEVICES_SQL.format(run_id=run_id), png=True):
        picked = _pick(ids, "Device", "device-")
        mine = None if picked is None else rows.filter(pl.col("device_id") == picked).with_columns(pl.col("device_id").cast(pl.String))
        fig = charts.devices(frame, mine, state.colours(), _span(now), cursor_s=now.t_s, today=now.shown == "today")
        parts.plot(fig, "pool-devices", alt=title)
        st.html(f'<p class="iw-note">{html.escape(_at_cursor(frame, mine, now))}</p>')


def devices_title(frame: pl.DataFrame, fullest: str, now: state.Context) -> str:
    """Return when the fullest device is fullest, and where the median stands then."""
    share = frame.with_columns((pl.col("fullest_bytes") / pl.col("capacity_bytes")).fill_nan(0.0).alias("share"))
    top = share.sort("share", descending=True).row(0, named=True)
    at, median = _clock(now, top[_T]), top["median_bytes"] / max(top["capacity_bytes"], 1)
    how = "is full" if top["share"] >= 0.9995 else f"comes to {100 * top['share']:.0f}\u00a0%"
    return f"{fullest.replace('-', ' ').capitalize()} {how} at {at}, the median device at {100 * median:.0f}\u00a0%"


def _at_cursor(frame: pl.DataFrame, mine: pl.DataFrame | None, now: state.Context) -> str:
    """Return how devices stand at the cursor."""
    at = frame.filter(pl.col(_T) >= now.t_s).head(1)
    row = (at if len(at) else frame.tail(1)).row(0, named=True)
    words = [
        f"{name} {show(float(row[f'{column}_bytes']), 'x_bytes')}"
        for name, column in (("least", "least"), ("median", "median"), ("most", "most"))
    ]
    told = f"At {now.clock_text}: {', '.join(words)} of {show(float(row['capacity_bytes']), 'x_bytes')} a device."
    if mine is not None and len(mine):
        used = mine.filter(pl.col(_T) == row[_T])
        if len(used):
            told += f" {str(mine['device_id'][0]).replace('-', ' ').capitalize()}: {show(float(used['used_bytes'][0]), 'x_bytes')}."
    return f"{told} Band: emptiest to fullest device of each five minutes; dark line: the device that is fullest of all."


def _hosts(home: str, now: state.Context, needs: pl.DataFrame) -> None:
    run_id = now.run_id or ""
    rows = state.table(run_id, "memory_hosts")
    ids = rows["host_id"].cast(pl.String).unique(maintain_order=True).to_list()
    each = peaks(run_id)
    with parts.panel(hosts_title(needs, each, now), "pool-hosts", data=rows, sql=_HOSTS_SQL.format(run_id=run_id), png=True):
        who = "Today’s policy" if now.shown == "today" else f"“{state.name_of(run_id)}”"
        st.html(
            f'<p class="iw-note">{html.escape(who)} has no pool: this is what hosts need. '
            "Band: the least to the most that a host needs; line: the median host. Try a pod above to see its devices here.</p>"
        )
        picked = _pick(ids, "Host", "host-")
        mine = None if picked is None else rows.filter(pl.col("host_id") == picked).with_columns(pl.col("host_id").cast(pl.String))
        fig = charts.hosts(needs, mine, state.colours(), _span(now), cursor_s=now.t_s, today=now.shown == "today")
        parts.plot(fig, "pool-hosts", alt="what hosts need over the day")


def hosts_title(needs: pl.DataFrame, each: pl.Series, now: state.Context) -> str:
    """Return what hosts need together at most, against what each needs at its own peak: what pooling could save."""
    top = needs.sort("all_bytes", descending=True).row(0, named=True)
    together, apart = float(top["all_bytes"]), float(each.sum())
    at = _clock(now, top[_T])
    return (
        f"{len(each)} hosts need {show(together, 'x_bytes')} together at most, at {at}; "
        f"each for its own peak {show(apart, 'x_bytes')}, {100 * (apart / together - 1.0):.0f}\u00a0% more"
    )


def _pick(ids: list[str], label: str, prefix: str) -> str | None:
    """Let one device or host be chosen; it stays in the URL."""
    kept, key = state.drafted().get("device", ""), f"memory-one-{prefix}"
    wanted = kept if kept in ids else None
    if st.session_state.get(key) != wanted:
        st.session_state[key] = wanted
    st.selectbox(
        label, ids, key=key, index=None, placeholder=f"Follow one {label.lower()}", format_func=plainly,
        on_change=lambda: state.set_draft(device=st.session_state[key]), label_visibility="collapsed", width=200,
    )  # fmt: skip
    return wanted


def _name(now: state.Context) -> str:
    return "today’s policy" if now.shown == "today" else f"“{state.name_of(now.run_id or '')}”"


def _clock(now: state.Context, t_s: float) -> str:
    words = now.clock.at(t_s).strftime("%H:%M")
    return "24:00" if words == "00:00" and t_s > 0 else words


def _span(now: state.Context) -> Span:
    return Span(now.clock, now.horizon_s)


_POOL_SQL: Final = (
    "WITH asked AS (SELECT t_s, sum(pooled_bytes) AS held_bytes, sum(spilled_bytes) AS spilled_bytes\n"
    "               FROM memory_hosts WHERE run_id = '{run_id}' AND in_pod GROUP BY t_s),\n"
    "     room AS (SELECT t_s, sum(capacity_bytes) AS capacity_bytes FROM memory_devices WHERE run_id = '{run_id}' GROUP BY t_s),\n"
    "     counted AS (SELECT t_s, sum(migrated_bytes) AS migrated_bytes, sum(overflow_events) AS overflow_events,\n"
    "                        sum(overflow_bytes) AS overflow_bytes FROM memory_pool WHERE run_id = '{run_id}' GROUP BY t_s)\n"
    "SELECT *, held_bytes + spilled_bytes AS wanted_bytes FROM asked JOIN room USING (t_s) JOIN counted USING (t_s) ORDER BY t_s"
)
_DEVICES_SQL: Final = "SELECT t_s, device_id, used_bytes, capacity_bytes FROM memory_devices WHERE run_id = '{run_id}' ORDER BY t_s"
_HOSTS_SQL: Final = "SELECT t_s, host_id, demand_bytes, local_bytes FROM memory_hosts WHERE run_id = '{run_id}' ORDER BY t_s"
