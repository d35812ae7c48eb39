"""Jobs by hand: a video job done all at once beside the same one step by step, one that was refused, and the plans behind them."""

import polars as pl

from twin.workflows import readings

NAN = float("nan")
STAGES = ("scenes", "transcript", "objects", "summary", "embedding", "index", "answer")
WHO = ("frame-extractor", "whisper", "clip-detector", "nvlm-72b-summary", "nvlm-embed", "vector-index", "nvlm-72b-answer")
ITEM_S = (1.0, 8.9, 1.0, 12.65, 0.6, 0.1, 5.4)
ITEMS = 4
SUBMIT_S = 600.0


def frames(today: bool) -> dict[str, pl.DataFrame]:
    """Return the tables of a run by name: under today's policy items follow one another, else stages overlap and two workflows share."""
    found = {"jobs": _jobs(today), "workflow_tasks": _tasks(today), "workflow_plans": _plans(today), "workflow_use": _use(today)}
    return {name: pl.DataFrame(rows, schema=_schema(name), orient="row") for name, rows in found.items()}


def _schema(name: str) -> dict[str, pl.DataType]:
    return {column.name: column.dtype for column in next(each for each in readings.TABLES if each.name == name).columns}


def _jobs(today: bool) -> list[tuple]:
    took_s, energy_j, usd = (110.0, 500e3, 4.0) if today else (50.0, 125e3, 1.0)
    why = "gpus: stage summary needs 8 a100 and more for its load, 0 are left"
    return [
        (SUBMIT_S + took_s, SUBMIT_S, SUBMIT_S, "video", "video-1", ITEMS, "done", took_s, energy_j, usd, 1.0, 40.0, ""),
        (SUBMIT_S + 20.0, SUBMIT_S, SUBMIT_S, "report", "report-1", 1, "done", 20.0, 5e3, 0.1, 0.9, 18.0, ""),
        *([(900.0, 900.0, NAN, "video", "video-2", ITEMS, "refused", NAN, 0.0, 0.0, NAN, NAN, why)] if today else
          [(960.0, 900.0, 901.0, "video", "video-2", ITEMS, "done", 60.0, 130e3, 1.1, 1.0, 40.0, "")]),
    ]  # fmt: skip


def _on(stage: str, today: bool) -> tuple[str, int, int]:
    """Return instance, GPUs and cores of a stage; the large model does two of them, and the candidate transcribes on cores."""
    if stage in {"summary", "answer"}:
        return "nvlm-72b@a100x8#1", 8, 0
    if stage == "transcript":
        return ("whisper@a100x1#1", 1, 0) if today else ("whisper@cpu4#1", 0, 4)
    return ("nvlm-embed@a100x2#1", 2, 0) if stage == "embedding" else (f"{stage}@cpu#1", 0, 1)


def _tasks(today: bool) -> list[tuple]:
    rows, t = [], SUBMIT_S
    items = [-1 if stage == "answer" else 0 for stage in STAGES]
    if today:
        for item in range(ITEMS):
            for stage, who, took_s in zip(STAGES[:-1], WHO, ITEM_S, strict=False):
                took_s = 2.0 if stage == "transcript" else took_s
                instance, gpus, cores = _on(stage, today)
                rows.append((t + took_s, t, t, "video", "video-1", stage, item, 1, who, instance, gpus, cores))
                t += took_s
        rows.append((SUBMIT_S + 110.0, t, t, "video", "video-1", "answer", -1, 1, WHO[-1], *_on("answer", today)))
    else:
        for stage, who, begin_s, end_s, first in zip(
            STAGES, WHO, (0, 2, 2, 11, 40, 43, 44.6), (2, 11, 4, 40, 43, 44.6, 50), items, strict=True
        ):
            waited_s = 1.0 if stage == "transcript" else 0.0
            count = 1 if stage == "answer" else ITEMS
            at = (SUBMIT_S + end_s, SUBMIT_S + begin_s, SUBMIT_S + begin_s + waited_s)
            rows.append((*at, "video", "video-1", stage, first, count, who, *_on(stage, today)))
    shared = "llm-8b@a100x1#9" if today else "nvlm-72b@a100x8#1"
    rows.append((SUBMIT_S + 20.0, SUBMIT_S, SUBMIT_S, "report", "report-1", "notes", 0, 1, "reader-8b", shared, 1 if today else 8, 0))
    return rows


def _plans(today: bool) -> list[tuple]:
    rows = []
    for stage, who in zip(STAGES, WHO, strict=True):
        _, gpus, cores = _on(stage, today)
        batch = 4 if stage in {"summary", "answer"} else 1
        hardware, instances = ("a100", 1) if gpus else ("cpu", 4 if stage == "transcript" else 1)
        about = (0.0, "video", stage, who, hardware, instances, batch, gpus * instances, cores * instances, False)
        rows.append((*about, NAN, NAN, NAN, "as it was written") if today else (*about, 50.0, 125e3, 1.0, "cheapest within 60 s"))
    return rows


def _use(today: bool) -> list[tuple]:
    held = 16.0 if today else 10.0
    return [(60.0 * minute, held, held / 2, 1.0, 0.0, minute % 2, 1, 2000.0, 54.4) for minute in range(1, 41)]
