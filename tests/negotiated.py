"""A small negotiation by hand: one power emergency, answered in four ways, some hints, bills and requirements of six workloads."""

import polars as pl

from twin.workloads.negotiation import tables

NAN = float("nan")
WORKLOADS = ("web-frontend", "telemetry-batch", "ml-training", "dev-test", "search", "databases")
CUTS = {"web-frontend": 63.4, "telemetry-batch": 91.0, "ml-training": 91.0, "dev-test": 91.0, "search": 60.6, "databases": 0.0}
HOURS = 24
BEGIN_S = 13 * 3600.0 + 43 * 60.0 + 20.0


def frames(begin_s: float = BEGIN_S, hours: int = HOURS, row: str = "row-4") -> dict[str, pl.DataFrame]:
    """Return the tables of a run in which row 4 gets short of power at ``begin_s``, by name."""
    found = {
        "messages": _messages(begin_s, row, hours),
        "notices": _notices(begin_s),
        "bills": _bills(hours),
        "offers": _offers(hours),
        "requirements": _requirements(hours),
        "vm_capacity": _capacity(hours),
    }
    return {name: pl.DataFrame(rows, schema=_schema(name), orient="row") for name, rows in found.items()}


def _schema(name: str) -> dict[str, pl.DataType]:
    table = next(each for each in tables.TABLES if each.name == name)
    return {column.name: column.dtype for column in table.columns}


def _messages(t: float, row: str, hours: int) -> list[tuple]:
    said = [
        (t, 0, -1, 0, "event", "platform", "global", "power_emergency", "", 0, 291e3, t, NAN, row, f"{row} forecast 291 kW"),
    ]
    told = (("web-frontend", "power_emergency", 4), ("ml-training", "power_emergency", 2), ("dev-test", "power_emergency", 9))
    for index, (workload, kind, vms) in enumerate((*told, ("search", "scale_down_request", 4)), start=1):
        at, words = t + 9.0 + index, f"{vms} VMs have 30 s"
        said.append((at, index, 0, 0, "notice", "global", "workload", kind, workload, vms, NAN, at + 7.0, at + 30.0, row, words))
    answers = (
        (5, 1, "web-frontend", 2.0, 4, 22.0, "load rising"),
        (6, 2, "ml-training", 2.0, 2, 25.0, "needs 80 s"),
        (7, 2, "ml-training", 1.0, 2, 115.0, "checkpointed, ready"),
        (8, 3, "dev-test", 3.0, 9, 42.0, "no answer"),
        (9, 4, "search", 1.0, 4, 18.0, "scales in by 4 VMs"),
    )
    for number, cause, workload, value, vms, after, words in answers:
        name = said[cause][7]
        said.append((t + after, number, cause, 0, "answer", "workload", "global", name, workload, vms, value, t + after, NAN, row, words))
    acts = ((10, 7, "ml-training", 2, 6.2e3, 120.0, "2 servers drained"), (11, 8, "dev-test", 6, 2.4e3, 45.0, "6 of 9 VMs evicted"))
    for number, cause, workload, vms, value, after, words in (*acts, (12, 9, "search", 4, 1.4e3, 24.0, "4 VMs scaled in")):
        said.append(
            (t + after, number, cause, 0, "action", "platform", "workload", "shut", workload, vms, value, t + after, NAN, row, words)
        )
    done = t + 230.0
    said.append((done, 13, 12, 0, "effect", "global", "platform", "power_emergency", "", 12, 10.0e3, done, NAN, row, "peak 281 kW"))
    # Maintenance of a host an hour and a half later, and hints all day.
    later = t + 5400.0
    said += [
        (later, 14, -1, 14, "event", "platform", "global", "maintenance", "", 0, NAN, later, NAN, "host-9", "host-9 restarts"),
        (
            later + 5,
            15,
            14,
            14,
            "notice",
            "global",
            "workload",
            "maintenance",
            "databases",
            3,
            NAN,
            later + 6,
            later + 905,
            "host-9",
            "900 s",
        ),
        (
            later + 60,
            16,
            15,
            14,
            "answer",
            "workload",
            "global",
            "maintenance",
            "databases",
            3,
            1.0,
            later + 60,
            NAN,
            "host-9",
            "start early",
        ),
    ]
    number = 17
    for step in range(hours * 12):
        at = 300.0 * step + 17.0
        workload = WORKLOADS[step % len(WORKLOADS)]
        key = ("vm_priority", "want_boost", "eviction_ready")[step % 3]
        words = f"{key.replace('_', ' ')} of {1 + step % 4} VMs"
        said.append((at, number, -1, number, "hint", "workload", "local", key, workload, 1 + step % 4, 1.0, at + 0.02, NAN, "", words))
        number += 1
    return sorted(said, key=lambda one: (one[0], one[1]))


def _notices(t: float) -> list[tuple]:
    rows = []
    told = (
        ("web-frontend", "power_emergency", 1, 4, "declined", 22.0, "declined", NAN),
        ("ml-training", "power_emergency", 2, 2, "accepted", 115.0, "done", 120.0),
        ("dev-test", "power_emergency", 3, 9, "ignored", NAN, "done", 47.0),
        ("search", "scale_down_request", 4, 4, "accepted", 18.0, "done", 30.0),
    )
    for workload, kind, message, vms, answer, answered, outcome, event in told:
        for vm in range(vms):
            times = (t + 60, t + 9, t + 17, t + 47, t + event, 30.0)
            ended = (answer, t + answered, outcome, True, message)
            rows.append((*times, f"{workload}/{vm}", workload, kind, "power", *ended))
    return rows


def _bills(hours: int) -> list[tuple]:
    return [
        (3600.0 * (hour + 1), name, 40.0, 320.0, 16.0, 16.0 * (1 - CUTS[name] / 100.0), 1.6, 2.0, 0.2 if name == "dev-test" else 0.0, 0.0)
        for hour in range(hours)
        for name in WORKLOADS
    ]


def _offers(hours: int) -> list[tuple]:
    rows: list[tuple] = []
    for hour in range(hours):
        end = 3600.0 * (hour + 1)
        for name in WORKLOADS:
            whole = 16.0 * CUTS[name] / 100.0
            if CUTS[name] > 90:
                rows += [(end, name, "harvest", "granted", "", 40.0, whole), (end, name, "spot", "better", "", 40.0, 0.0)]
            elif CUTS[name] > 0:
                rows += [
                    (end, name, "spot", "granted", "", 16.0, whole * 0.7),
                    (end, name, "spot", "missing", "preemptible", 24.0, 0.0),
                    (end, name, "harvest", "missing", "delay_tolerance_s", 40.0, 0.0),
                    (end, name, "multi_availability", "granted", "", 24.0, whole * 0.3),
                    (end, name, "rightsizing", "short", "", 40.0, 0.0),
                ]
            else:
                rows += [
                    (end, name, "spot", "forbidden", "availability_nines", 40.0, 0.0),
                    (end, name, "harvest", "missing", "preemptible", 40.0, 0.0),
                ]
    return rows


def _requirements(hours: int) -> list[tuple]:
    rows = []
    for hour in range(hours):
        end = 3600.0 * (hour + 1)
        rows += [(end, name, "availability", 0.999, 0.9998, 0.0) for name in ("web-frontend", "search")]
        rows += [
            (end, "ml-training", "eviction budget", 1.0, 0.95 if hour == 13 else 0.1, 0.0),
            (end, "dev-test", "notice lead", 30.0, 30.0, 0.0),
        ]
        rows += [(end, "databases", "residency", 0.0, 0.0, 0.0), (end, "telemetry-batch", "delay", 1.0, 0.2, 0.0)]
    return rows


def _capacity(hours: int) -> list[tuple]:
    rows = []
    for step in range(hours * 12):
        reserve = 900.0 + 200.0 * ((step % 144) / 144.0)
        rows.append((300.0 * (step + 1), "hosts", 6144.0, 2500.0, 600.0, 700.0, reserve, 40.0 if 150 < step < 160 else 0.0, 1444.0, 32.0))
        rows.append((300.0 * (step + 1), "servers", 1280.0, 700.0, 90.0, 0.0, 60.0, 0.0, 430.0, 0.0))
    return rows
