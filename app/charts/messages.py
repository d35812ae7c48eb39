"""Messages in lanes: hints up, notices down, answers by their shape."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from app.charts import svg
from app.charts.chains import KINDS, answer_of, noun
from app.charts.curve_above import curve_parts
from app.charts.message_scene import CROWD, MANAGERS, NARROW, WIDE, Frame, Scene, haloed, lane_of, short, worded, x_of
from app.charts.message_words import CHAR_PX, written
from app.charts.statements import count, plainly
from app.charts.tokens import Tokens, translucent
from twin.clock import Clock

__all__ = ["MOST_DRAWN", "NARROW", "WIDE", "Frame", "Scene", "answer_mark", "messages_svg", "says"]
MOST_DRAWN: Final = 600
_TICKS_S: Final = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600)


def messages_svg(scene: Scene, tokens: Tokens, title: str, *, frame: Frame = WIDE) -> str:
    """Draw a window of messages: vertical arrows only, up for hints and down for notices; what was done is a bar in its lane.

    One chain is blue and in words, everything else grey. Each message carries ``data-pick`` (its chain) and ``data-says``.
    """
    top = 78.0 if scene.curve is not None else 22.0
    lanes = {name: top + frame.pitch * (index + 0.5) for index, name in enumerate([*MANAGERS, *scene.workloads])}
    bottom = top + frame.pitch * len(lanes)
    rows = _ordered(scene)
    parts = [] if scene.curve is None else curve_parts(scene.curve, tokens, scene.window, (frame.left, frame.right), frame.above)
    parts += _grid(scene, frame, lanes, bottom, tokens)
    until = _ends(scene.messages, scene.window[1])
    crowd = len(rows) > CROWD
    for row in rows:
        parts.append(_message(row, scene, frame, lanes, until, tokens, crowd))
    # After the messages: on a phone names stand between lanes, where arrows pass.
    parts += _names(frame, lanes, tokens)
    parts += written(rows, scene, frame, lanes, tokens)
    if scene.cursor_s is not None and scene.window[0] <= scene.cursor_s <= scene.window[1]:
        at = x_of(scene, frame, scene.cursor_s)
        parts.append(svg.line(at, 4, at, bottom, tokens.text, width=1.2))
    parts += _legend(frame, bottom + 40.0, tokens)
    return svg.document(frame.width, bottom + 48.0, parts, title)


def _ordered(scene: Scene) -> list[dict[str, Any]]:
    """Return what is drawn, the chosen chain last and so on top; of too many the hints go first."""
    rank = {kind: index for index, kind in enumerate(("event", "effect", "action", "answer", "notice", "hint"))}
    drawn = scene.messages.with_columns(
        (pl.col("chain_id") == (-1 if scene.chain is None else scene.chain)).alias("mine"),
        pl.col("kind").replace_strict(rank, default=len(KINDS), return_dtype=pl.Int64).alias("rank"),
    )
    drawn = drawn.sort("mine", "rank", "t_s", descending=[True, False, False], maintain_order=True).head(MOST_DRAWN)
    return drawn.sort("mine", "t_s", "message_id").to_dicts()


def _grid(scene: Scene, frame: Frame, lanes: Mapping[str, float], bottom: float, tokens: Tokens) -> list[str]:
    parts = [svg.line(frame.left, y, frame.right, y, tokens.grid) for y in lanes.values()]
    first, last = scene.window
    step = next((size for size in _TICKS_S if (last - first) / size <= (3.5 if frame.above else 9)), _TICKS_S[-1])
    day = scene.clock.at(first)
    begun = day.hour * 3600 + day.minute * 60 + day.second
    at = first - begun % step + (step if begun % step else 0)
    form = "%H:%M" if step >= 60 else "%H:%M:%S"
    while at <= last + 1e-6:
        x = x_of(scene, frame, at)
        anchor = "end" if x > frame.right - 16 else "start" if x < frame.left + 16 else "middle"
        parts.append(svg.text(x, bottom + 12.0, scene.clock.at(at).strftime(form), tokens.muted, anchor=anchor))
        at += step
    return parts


def _names(frame: Frame, lanes: Mapping[str, float], tokens: Tokens) -> list[str]:
    parts = []
    for name, y in lanes.items():
        managed = name in MANAGERS
        label = short(MANAGERS[name] if managed else plainly(name), 30 if frame.above else 18)
        parts.append(haloed(0.0, y - 8.0 if frame.above else y + 4.0, label, tokens.text, tokens, 600 if managed else 400))
    return parts


def _ends(messages: pl.DataFrame, last_s: float) -> dict[int, float]:
    """Return until when each action lasts: the next one of its workload in its chain, the chain's effect, or the window's end."""
    found: dict[int, float] = {}
    acts = messages.filter(pl.col("kind") == "action").sort("t_s", "message_id")
    for (chain, _), group in acts.group_by("chain_id", "workload_id", maintain_order=True):
        effects = messages.filter((pl.col("chain_id") == chain) & (pl.col("kind") == "effect"))["t_s"].to_list()
        times, ids = group["t_s"].to_list(), group["message_id"].to_list()
        for index, (number, t_s) in enumerate(zip(ids, times, strict=True)):
            later = [t for t in [*times[index + 1 :], *effects] if t > t_s]
            found[int(number)] = min(later, default=last_s)
    return found


def _message(
    row: Mapping[str, Any], scene: Scene, frame: Frame, lanes: Mapping[str, float], until: Mapping[int, float], tokens: Tokens, crowd: bool
) -> str:
    mine = bool(row["mine"])
    ink = tokens.candidate if mine else tokens.today
    x, kind = x_of(scene, frame, float(row["t_s"])), str(row["kind"])
    start, end = lane_of(row, "sender", lanes), lane_of(row, "receiver", lanes)
    if kind == "effect":
        # What was measured is told upwards, whoever measured it.
        start = lanes["global"]
    match kind:
        case "hint" if crowd and not mine:
            drawn = [_arrow(x, start, start - 11.0, ink, 1.0)]
            middle, high = start - 5.0, 11.0
        case "hint" | "notice":
            drawn = [_arrow(x, start, end, ink, 1.6 if mine else 1.0)]
            middle, high = (start + end) / 2, abs(end - start)
        case "answer":
            drawn = answer_mark(x, start, answer_of(row["value"], str(row["name"])), ink, tokens)
            middle, high = start, 14.0
        case "action":
            own = lanes.get(str(row["workload_id"]), end)
            wide = max(x_of(scene, frame, until.get(int(row["message_id"]), scene.window[1])) - x, 4.0)
            drawn = [svg.rect(x, own - 4, wide, 8, translucent(ink, 0.42 if mine else 0.3)), svg.rect(x - 1, own - 6, 2, 12, ink)]
            middle, high = own, 14.0
        case _:
            hollow = kind == "effect"
            drawn = [_arrow(x, start, end, ink, 1.6 if mine else 1.0)] if start != end else []
            at = end if hollow else start
            drawn.append(svg.circle(x, at, 4.2, tokens.surface if hollow else ink, stroke=ink, width=1.8 if hollow else 0.0))
            middle, high = (start + end) / 2, max(abs(end - start), 12.0)
    box = (x - 6.0, middle - high / 2 - 5.0, 12.0, high + 10.0)
    return svg.marked("".join(drawn), box, str(int(row["chain_id"])), says(row, scene.clock), faint=not mine)


def _arrow(x: float, start: float, end: float, ink: str, width: float) -> str:
    if abs(end - start) < 1.0:
        return svg.circle(x, start, 2.4, ink)
    down = 1.0 if end > start else -1.0
    head = end - down * 1.0
    base = svg.number(head - down * 6.5)
    tip = f"M{svg.number(x - 3.4)} {base}L{svg.number(x)} {svg.number(head)}L{svg.number(x + 3.4)} {base}Z"
    return svg.line(x, start, x, head - down * 5.0, ink, width=width) + svg.path(tip, fill=ink)


def answer_mark(x: float, y: float, answer: str, ink: str, tokens: Tokens) -> list[str]:
    """Return an answer by its shape: a filled tick accepted, a ring with a cross declined, a dashed ring ignored, a ring still open."""
    if answer == "accepted":
        tick = f"M{svg.number(x - 3)} {svg.number(y + 0.2)}l2.2 2.2l4 -4.8"
        return [svg.circle(x, y, 6, ink, stroke=tokens.surface, width=1.0), svg.path(tick, stroke=tokens.surface, width=1.5)]
    dash = "2.4 2" if answer == "ignored" else ""
    round_ = f"M{svg.number(x - 5.5)} {svg.number(y)}a5.5 5.5 0 1 1 11 0a5.5 5.5 0 1 1 -11 0"
    drawn = [svg.path(round_, fill=tokens.surface, stroke=ink, width=1.5, dash=dash)]
    if answer == "declined":
        cross = f"M{svg.number(x - 2.2)} {svg.number(y - 2.2)}l4.4 4.4M{svg.number(x + 2.2)} {svg.number(y - 2.2)}l-4.4 4.4"
        drawn.append(svg.path(cross, stroke=ink, width=1.5))
    return drawn


def says(row: Mapping[str, Any], clock: Clock) -> str:
    """Return a message in a sentence: when, from whom to whom, what, how many VMs, when it is due."""
    who = {**MANAGERS, "workload": str(row["workload_id"]) or "workload"}
    sender, receiver = (who.get(str(row[end]), str(row[end])) for end in ("sender", "receiver"))
    said = f" {answer_of(row['value'], str(row['name']))}" if row["kind"] == "answer" else ""
    what = f"{row['kind']}{said}, {noun(str(row['name']))}"
    words = str(row["words"])
    parts = [f"{clock.at(float(row['t_s'])):%H:%M:%S} {sender} → {receiver}: {what}", *([worded(words, clock)] if words else [])]
    if int(row["vms"] or 0):
        parts.append(count(int(row["vms"]), "VM"))
    due = row.get("due_s")
    if due is not None and due == due:
        parts.append(f"due {clock.at(float(due)):%H:%M:%S}")
    return " · ".join(parts)


def _legend(frame: Frame, y: float, tokens: Tokens) -> list[str]:
    parts, x = [], 0.0
    for answer in ("accepted", "declined", "ignored"):
        parts += [*answer_mark(x + 7, y - 4, answer, tokens.muted, tokens), svg.text(x + 18, y, answer, tokens.muted)]
        x += 26 + CHAR_PX * len(answer)
    for word, down in (("hint", -1.0), ("notice", 1.0)):
        parts += [_arrow(x + 6, y - 4 - 7 * down, y - 4 + 7 * down, tokens.muted, 1.2), svg.text(x + 14, y, word, tokens.muted)]
        x += 26 + CHAR_PX * len(word)
    if not frame.above:
        words = "the selected chain"
        start = frame.right - CHAR_PX * len(words)
        parts += [
            svg.line(start - 24, y - 4, start - 6, y - 4, tokens.candidate, width=2.0),
            svg.text(frame.right, y, words, tokens.muted, anchor="end"),
        ]
    return parts
