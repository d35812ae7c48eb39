"""Messages in lanes: hints up, notices down, answers by their shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import polars as pl

from app.charts import svg
from app.charts.chains import KINDS, answer_of, noun
from app.charts.curve_above import Curve, curve_parts
from app.charts.statements import count, plainly
from app.charts.tokens import Tokens, translucent
from twin.clock import Clock

MANAGERS: Final[Mapping[str, str]] = {"platform": "Platform", "global": "Global manager", "local": "Local managers"}
MOST_DRAWN: Final = 600
_MOST_WORDS: Final = 24
# With more messages than this in a window, hints of others are short strokes, and only what happened is in words.
_CROWD: Final = 60
_CHAR_PX: Final = 6.1
_LONGEST: Final = 44
# Notices of a chain that are sent within so long of one another are told together.
_TOGETHER_S: Final = 20.0
_TICKS_S: Final = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600)
# Who is written beside first: what a chain is about before the arrows that carry it.
_WORDS_FIRST: Final = {"event": 0, "effect": 1, "answer": 2, "action": 3, "notice": 4, "hint": 5}


@dataclass(frozen=True, slots=True)
class Scene:
    """What is drawn: messages (already filtered), the workloads' lanes, the window, the chosen chain, the curve above, the cursor."""

    messages: pl.DataFrame
    workloads: Sequence[str]
    window: tuple[float, float]
    clock: Clock
    chain: int | None = None
    curve: Curve | None = None
    cursor_s: float | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """Where things stand: width, where lanes begin, how far apart they are, and whether their names stand above them."""

    width: float
    left: float
    pitch: float
    above: bool

    @property
    def right(self) -> float:
        """Return where lanes end."""
        return self.width - 12.0


WIDE: Final = Frame(760.0, 116.0, 27.0, False)
NARROW: Final = Frame(358.0, 4.0, 36.0, True)


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
    crowd = len(rows) > _CROWD
    for row in rows:
        parts.append(_message(row, scene, frame, lanes, until, tokens, crowd))
    parts += _words(rows, scene, frame, lanes, tokens)
    if scene.cursor_s is not None and scene.window[0] <= scene.cursor_s <= scene.window[1]:
        at = _x(scene, frame, scene.cursor_s)
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


def _x(scene: Scene, frame: Frame, t_s: float) -> float:
    first, last = scene.window
    share = (min(max(t_s, first), last) - first) / max(last - first, 1e-9)
    return frame.left + 4.0 + share * (frame.right - frame.left - 4.0)


def _lane(row: Mapping[str, Any], end: str, lanes: Mapping[str, float]) -> float:
    name = str(row[end])
    if name == "workload":
        return lanes.get(str(row["workload_id"]), lanes["local"])
    return lanes.get(name, lanes["platform"])


def _grid(scene: Scene, frame: Frame, lanes: Mapping[str, float], bottom: float, tokens: Tokens) -> list[str]:
    parts = []
    for name, y in lanes.items():
        parts.append(svg.line(frame.left, y, frame.right, y, tokens.grid))
        managed = name in MANAGERS
        label = MANAGERS[name] if managed else plainly(name)
        place = (0.0, y - 8.0) if frame.above else (0.0, y + 4.0)
        parts.append(_haloed(*place, _short(label, 18 if not frame.above else 30), tokens.text, tokens, 600 if managed else 400))
    first, last = scene.window
    step = next((size for size in _TICKS_S if (last - first) / size <= (3.5 if frame.above else 9)), _TICKS_S[-1])
    day = scene.clock.at(first)
    begun = day.hour * 3600 + day.minute * 60 + day.second
    at = first - begun % step + (step if begun % step else 0)
    form = "%H:%M" if step >= 60 else "%H:%M:%S"
    while at <= last + 1e-6:
        x = _x(scene, frame, at)
        anchor = "end" if x > frame.right - 16 else "start" if x < frame.left + 16 else "middle"
        parts.append(svg.text(x, bottom + 12.0, scene.clock.at(at).strftime(form), tokens.muted, anchor=anchor))
        at += step
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
    x, kind = _x(scene, frame, float(row["t_s"])), str(row["kind"])
    start, end = _lane(row, "sender", lanes), _lane(row, "receiver", lanes)
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
            wide = max(_x(scene, frame, until.get(int(row["message_id"]), scene.window[1])) - x, 4.0)
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
    parts = [f"{clock.at(float(row['t_s'])):%H:%M:%S} {sender} → {receiver}: {what}", *([plainly(words)] if words else [])]
    if int(row["vms"] or 0):
        parts.append(count(int(row["vms"]), "VM"))
    due = row.get("due_s")
    if due is not None and due == due:
        parts.append(f"due {clock.at(float(due)):%H:%M:%S}")
    return " · ".join(parts)


def _words(rows: Sequence[Mapping[str, Any]], scene: Scene, frame: Frame, lanes: Mapping[str, float], tokens: Tokens) -> list[str]:
    """Return words beside messages where they do not collide: the chosen chain first; the rest is said on hover."""
    taken = _occupied(rows, scene, frame, lanes)
    parts: list[str] = []
    told: set[tuple[Any, ...]] = set()
    crowd = len(rows) > _CROWD
    loud = [row for row in rows if row["mine"] or not crowd or row["kind"] in {"event", "effect"}]
    queue = sorted(loud, key=lambda row: (not row["mine"], _WORDS_FIRST.get(str(row["kind"]), 9), row["t_s"]))
    for row in queue:
        if len(parts) >= (_MOST_WORDS if not frame.above else 9) or (frame.above and not row["mine"]):
            break
        kind, mine = str(row["kind"]), bool(row["mine"])
        # Notices of one moment share their words, beside the manager that sends them.
        once = (row["chain_id"], kind, float(row["t_s"]) // _TOGETHER_S) if kind in {"notice", "hint"} else (row["message_id"],)
        if once in told:
            continue
        label, side = _label(row, rows, frame), 10.0 if kind in {"answer", "event", "effect"} else 6.0
        at, y, wide = _x(scene, frame, float(row["t_s"])), _height(row, lanes), _CHAR_PX * len(label)
        x = at + side if at + side + wide <= frame.right else at - side - wide
        if x < frame.left or any(abs(y - other) < 11.0 and x < to and from_ < x + wide for other, from_, to in taken):
            continue
        told.add(once)
        taken.append((y, x - 3.0, x + wide + 3.0))
        heavy = mine and kind in {"event", "effect"}
        parts.append(_haloed(x, y, label, tokens.candidate if heavy else tokens.muted, tokens, 600 if heavy else 400))
    return parts


def _label(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], frame: Frame) -> str:
    words = plainly(str(row["words"])) or noun(str(row["name"]))
    if row["kind"] == "notice":
        near = [one for one in rows if one["kind"] == "notice" and one["chain_id"] == row["chain_id"]]
        together = sum(abs(one["t_s"] - row["t_s"]) < _TOGETHER_S for one in near)
        words = words if together == 1 else count(together, "notice")
    return _short(words, _LONGEST if not frame.above else 30)


def _height(row: Mapping[str, Any], lanes: Mapping[str, float]) -> float:
    """Return the line that words of a message stand on: that of who sends a notice or an event, else of whose message it is."""
    kind = str(row["kind"])
    if kind in {"event", "notice"}:
        return _lane(row, "sender", lanes) - 5.0
    if kind == "effect":
        return _lane(row, "receiver", lanes) - 5.0
    return lanes.get(str(row["workload_id"]), _lane(row, "sender", lanes)) - 5.0


def _occupied(
    rows: Sequence[Mapping[str, Any]], scene: Scene, frame: Frame, lanes: Mapping[str, float]
) -> list[tuple[float, float, float]]:
    """Return where marks of the chosen chain and names above lanes stand, so that no word covers them: height, from, to."""
    found = [(y - 8.0, 0.0, _CHAR_PX * len(MANAGERS.get(name, name)) + 4.0) for name, y in lanes.items()] if frame.above else []
    for row in rows:
        if row["mine"] and row["kind"] in {"answer", "event", "effect"}:
            x = _x(scene, frame, float(row["t_s"]))
            found.append((_lane(row, "receiver" if row["kind"] == "effect" else "sender", lanes), x - 7.0, x + 7.0))
    return found


def _haloed(x: float, y: float, words: str, ink: str, tokens: Tokens, weight: int) -> str:
    halo = f'stroke="{tokens.surface}" stroke-width="3" paint-order="stroke" pointer-events="none"'
    return f'<text x="{svg.number(x)}" y="{svg.number(y)}" fill="{ink}" font-weight="{weight}" {halo}>{escape(words)}</text>'


def _legend(frame: Frame, y: float, tokens: Tokens) -> list[str]:
    parts, x = [], 0.0
    for answer in ("accepted", "declined", "ignored"):
        parts += [*answer_mark(x + 7, y - 4, answer, tokens.muted, tokens), svg.text(x + 18, y, answer, tokens.muted)]
        x += 26 + _CHAR_PX * len(answer)
    for word, down in (("hint", -1.0), ("notice", 1.0)):
        parts += [_arrow(x + 6, y - 4 - 7 * down, y - 4 + 7 * down, tokens.muted, 1.2), svg.text(x + 14, y, word, tokens.muted)]
        x += 26 + _CHAR_PX * len(word)
    if not frame.above:
        words = "the selected chain"
        start = frame.right - _CHAR_PX * len(words)
        parts += [
            svg.line(start - 24, y - 4, start - 6, y - 4, tokens.candidate, width=2.0),
            svg.text(frame.right, y, words, tokens.muted, anchor="end"),
        ]
    return parts


def _short(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1].rstrip()}…"
