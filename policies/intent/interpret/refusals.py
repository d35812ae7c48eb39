"""What is refused: acts, limits off, text that talks to the reader."""

import re
from typing import Final

from policies.intent.interpret.canon import Board
from policies.intent.interpret.words import rule, word_list
from policies.intent.model import Finding

# Attempts to give the reader orders taint everything after them.
_OVERRIDE: Final = rule("refusals.override")
_LEAK: Final = rule("refusals.leak")
_CODE: Final = rule("refusals.code")
_OFF: Final = rule("refusals.off")
_ACT: Final = rule("refusals.act")
# Acts whose object is a metric are wishes, not acts: "fix PUE at 1.2", "open 3 more servers".
_TELLING: Final = rule("refusals.telling")
_NEEDS_OBJECT: Final = rule("refusals.needs_object")
_FINE: Final = rule("refusals.fine")


def foreign(text: str) -> bool:
    """Return whether a text is plainly in another language."""
    letters = [char for char in text if char.isalpha()]
    if letters and sum(ord(char) > 0x24F for char in letters) > 0.3 * len(letters):
        return True
    said = re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)?", text)
    english = word_list("english")
    other = sum(word in word_list("foreign") and word not in english for word in said)
    return other >= 2 and other > sum(word in english for word in said)


def injected(board: Board, original: str) -> list[Finding]:
    """Find text that talks to the reader and take it out; an attempt to override takes all that follows with it."""
    findings: list[Finding] = []
    told = "This reads as an instruction to the reader, not as a target; what is wanted?"
    override = _OVERRIDE.search(board.rest)
    if override:
        start = _sentence_start(board.rest, override.start())
        board.take("taken", start, len(board.rest))
        findings.append(Finding(severity="block", about="meaning", text=told))
    for pattern, text in ((_LEAK, board.rest), (_CODE, board.rest)):
        for match in list(pattern.finditer(text)):
            if board.rest[match.start() : match.end()] != match[0]:
                continue
            start, end = _clause_around(board.rest, match.start(), match.end())
            board.take("taken", start, end)
            findings.append(Finding(severity="block", about="meaning", text=told))
    if not findings and re.search(r"(?<![\w/+\-])(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]*[a-z])[A-Za-z0-9+/]{20,}={0,2}(?!\w)", original):
        board.take("taken", 0, len(board.rest))
        findings.append(Finding(severity="block", about="meaning", text=told))
    return findings[:1]


def _sentence_start(text: str, place: int) -> int:
    stops = [match.end() for match in re.finditer(r"[.!?;\n](?=\s)|,? then\b", text[:place])]
    return stops[-1] if stops else (0 if place < 40 else max((m.end() for m in re.finditer(r",|\band\b", text[:place])), default=0))


def _clause_around(text: str, start: int, end: int) -> tuple[int, int]:
    before = [match.end() for match in re.finditer(r"[.!?;,\n](?=\s)|\bthen\b|\band\b", text[:start])]
    after = re.search(r"[.!?;,\n](?=\s)|\bthen\b|\band\b", text[end:])
    return (before[-1] if before else 0), (end + after.start() if after else len(text))


def switched_off(board: Board) -> list[Finding]:
    """Find requests to switch limits, guards or approval off, and take them out."""
    findings = []
    for match in list(_OFF.finditer(board.rest)):
        if re.match(r"(?: \S+){0,4}? to (?:about )?[\d.]", board.rest[match.end() :]):
            # A limit that is set to a number is not switched off.
            continue
        start, end = _clause_around(board.rest, match.start(), match.end())
        board.take("taken", start, end)
        findings.append(
            Finding(severity="block", about="meaning", text="Limits, guards and approval cannot be switched off; which target is wanted?")
        )
    return findings[:1]


def acts(board: Board) -> list[Finding]:
    """Find acts that the twin cannot do, and take them out; the places they name stay known."""
    findings = []
    for match in list(_ACT.finditer(board.rest)):
        verb, rest = match["verb"], match["object"] or ""
        measured = any(mark.value.kind != "count" for mark in board.ordered("quantity") if match.start() <= mark.start < match.end())
        if (measured and not _TELLING.match(verb)) or not _is_act(verb, rest):
            continue
        text = f"The twin cannot {verb} anything; which target is wanted instead?"
        board.take("taken", match.start("verb"), match.end())
        findings.append(Finding(severity="block", about="meaning", text=text))
    return findings[:1]


def _is_act(verb: str, rest: str) -> bool:
    if _FINE.search(rest):
        return False
    built = verb in {"fix", "make", "create", "provision", "order", "buy", "purchase", "start up", "deploy"}
    if built and "\ue003" in rest and not re.search(r"\b(?:boxes|vendor|gpus|pizzas?|coffee|h100|from)\b", rest):
        return False
    return bool(rest.strip()) or _NEEDS_OBJECT.fullmatch(verb) is None
