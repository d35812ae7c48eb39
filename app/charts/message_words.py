"""Words beside messages, where they do not collide."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.charts.chains import noun
from app.charts.message_scene import CROWD, MANAGERS, Frame, Scene, haloed, lane_of, short, worded, x_of
from app.charts.statements import count
from app.charts.tokens import Tokens

CHAR_PX: Final = 6.1
_MOST_WORDS: Final = 24
_LONGEST: Final = 44
# Notices of a chain that are sent within so long of one another are told together.
_TOGETHER_S: Final = 20.0
# Who is written beside first: what a chain is about before the arrows that carry it.
_WORDS_FIRST: Final = {"event": 0, "effect": 1, "answer": 2, "action": 3, "notice": 4, "hint": 5}


def written(rows: Sequence[Mapping[str, Any]], scene: Scene, frame: Frame, lanes: Mapping[str, float], tokens: Tokens) -> list[str]:
    """Return words beside messages where they do not collide: the chosen chain first; the rest is said on hover."""
    taken = _occupied(rows, scene, frame, lanes)
    parts: list[str] = []
    told: set[tuple[Any, ...]] = set()
    crowd = len(rows) > CROWD
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
        label, side = _label(row, rows, scene, frame), 10.0 if kind in {"answer", "event", "effect"} else 6.0
        at, y, wide = x_of(scene, frame, float(row["t_s"])), _height(row, lanes), CHAR_PX * len(label)
        x = at + side if at + side + wide <= frame.right else at - side - wide
        if x < frame.left or any(abs(y - other) < 11.0 and x < to and from_ < x + wide for other, from_, to in taken):
            continue
        told.add(once)
        taken.append((y, x - 3.0, x + wide + 3.0))
        heavy = mine and kind in {"event", "effect"}
        parts.append(haloed(x, y, label, tokens.candidate if heavy else tokens.muted, tokens, 600 if heavy else 400))
    return parts


def _label(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], scene: Scene, frame: Frame) -> str:
    words = worded(str(row["words"]), scene.clock) or noun(str(row["name"]))
    if row["kind"] == "notice":
        near = [one for one in rows if one["kind"] == "notice" and one["chain_id"] == row["chain_id"]]
        together = sum(abs(one["t_s"] - row["t_s"]) < _TOGETHER_S for one in near)
        words = words if together == 1 else count(together, "notice")
    return short(words, _LONGEST if not frame.above else 30)


def _height(row: Mapping[str, Any], lanes: Mapping[str, float]) -> float:
    """Return the line that words of a message stand on: that of who sends a notice or an event, else of whose message it is."""
    kind = str(row["kind"])
    if kind in {"event", "notice"}:
        return lane_of(row, "sender", lanes) - 5.0
    if kind == "effect":
        return lane_of(row, "receiver", lanes) - 5.0
    return lanes.get(str(row["workload_id"]), lane_of(row, "sender", lanes)) - 5.0


def _occupied(
    rows: Sequence[Mapping[str, Any]], scene: Scene, frame: Frame, lanes: Mapping[str, float]
) -> list[tuple[float, float, float]]:
    """Return where marks of the chosen chain and names above lanes stand, so that no word covers them: height, from, to."""
    found = [(y - 8.0, 0.0, CHAR_PX * len(MANAGERS.get(name, name)) + 4.0) for name, y in lanes.items()] if frame.above else []
    for row in rows:
        if row["mine"] and row["kind"] in {"answer", "event", "effect"}:
            x = x_of(scene, frame, float(row["t_s"]))
            found.append((lane_of(row, "receiver" if row["kind"] == "effect" else "sender", lanes), x - 7.0, x + 7.0))
    return found
