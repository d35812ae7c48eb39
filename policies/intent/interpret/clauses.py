"""A sentence in clauses: what stands together, what leans on what."""

from dataclasses import dataclass, field
from typing import Final

from policies.intent.interpret import ops
from policies.intent.interpret.canon import Board, Mark
from policies.intent.interpret.words import Concept, lexicon, rule

_BREAK: Final = rule("clauses.break")
_BARE: Final = {"serving", "inference", "site", "facility", "the site", "the facility", "budget", "money", "dram", "prices", "price"}
_JUST_MORE: Final = rule("clauses.just_more")
_LIST_WORDS: Final = {"and", "or", "nor", "plus", "as well as", ",", "&", "/"}


@dataclass(slots=True)
class Clause:
    """A stretch of the text with what was recognised in it. ``joint`` is what stands between it and the clause before."""

    start: int
    end: int
    joint: str
    concepts: list[Mark] = field(default_factory=list)
    quantities: list[Mark] = field(default_factory=list)
    pers: list[Mark] = field(default_factory=list)
    scopes: list[Mark] = field(default_factory=list)
    windows: list[Mark] = field(default_factory=list)
    percentiles: list[Mark] = field(default_factory=list)
    sentence: int = 0

    def text(self, board: Board) -> str:
        """Return the clause with its recognised quantities, places and times overwritten."""
        return board.rest[self.start : self.end]

    def bound(self, board: Board) -> bool:
        """Return whether the clause sets something: a number, a hold, a zero, an objective or a change."""
        text = self.text(board)
        if _JUST_MORE.fullmatch(text):
            return False
        if self.quantities or any(pattern.search(text) for pattern in (*ops.HOLD, ops.MINIMIZE, ops.MAXIMIZE, ops.OPTIMISE)):
            return True
        if any(pattern.search(text) for pattern, _ in ops.FACTOR) or ops.CHANGE.search(text) or ops.NONE.search(text):
            return True
        return bool(self.concepts) and ops.NEGATION.search(text) is not None


def concepts(board: Board) -> list[Mark]:
    """Return the concepts that the text speaks of, longest first at a place, none overlapping."""
    found: list[Mark] = []
    for concept in lexicon().concepts:
        for pattern in concept.patterns:
            found += [Mark("concept", match.start(), match.end(), concept) for match in pattern.finditer(board.rest)]
    holds = [match.span() for pattern in ops.HOLD for match in pattern.finditer(board.rest)]
    found = [
        mark for mark in found if not (mark.value.name == "cost" and any(start <= mark.start and mark.end <= end for start, end in holds))
    ]
    found.sort(key=lambda mark: (-_weight(board, mark), mark.start))
    kept: list[Mark] = []
    for mark in found:
        if not any(mark.start < other.end and other.start < mark.end for other in kept):
            kept.append(mark)
    return sorted(kept, key=lambda mark: mark.start)


def _weight(board: Board, mark: Mark) -> int:
    """Count the letters that a mark explains; letters that earlier steps took do not count."""
    return sum(char.isalnum() for char in board.rest[mark.start : mark.end])


def split(board: Board, found: list[Mark]) -> list[Clause]:
    """Return the clauses of a text, each with at least a bound or a concept where the text has any."""
    pieces = _pieces(board, found)
    for piece in pieces:
        _fill(piece, board, found)
    return _merge(pieces, board)


def _pieces(board: Board, found: list[Mark]) -> list[Clause]:
    held = [*found, *board.marks]
    pieces: list[Clause] = []
    last, joint, sentence = 0, "", 0
    for match in _BREAK.finditer(board.rest):
        if any(mark.start < match.end() and match.start() < mark.end for mark in held):
            continue
        if match["stop"] == ":" and not any(last <= mark.start < match.start() for mark in board.ordered("quantity")):
            # "row 1: 280 kW" is one: what stands before a colon is a label of what follows.
            continue
        pieces.append(Clause(last, match.start(), joint, sentence=sentence))
        if match["stop"] and match["stop"] != ":":
            sentence += 1
        last, joint = match.end(), (match["word"] or match["comma"] or match["stop"].strip() or ";")
        # "without" and "no" are part of what follows.
        if joint in {"without", "nor"}:
            last = match.start()
    pieces.append(Clause(last, len(board.rest), joint, sentence=sentence))
    return [piece for piece in pieces if board.rest[piece.start : piece.end].strip(" -,:;.")]


def _fill(piece: Clause, board: Board, found: list[Mark]) -> None:
    def within(mark: Mark) -> bool:
        return piece.start <= mark.start < piece.end

    piece.concepts = [mark for mark in found if within(mark)]
    if len(piece.concepts) > 1:
        # "Serving" beside "quality" says where, not what.
        if any(mark.value.name == "serving_cost" for mark in piece.concepts):
            piece.concepts = [mark for mark in piece.concepts if mark.value.name != "cost"]
        if len(piece.concepts) > 1:
            piece.concepts = [mark for mark in piece.concepts if board.rest[mark.start : mark.end] not in _BARE] or piece.concepts
    piece.quantities = [mark for mark in board.ordered("quantity") if within(mark)]
    piece.pers = [mark for mark in board.ordered("per") if within(mark)]
    piece.scopes = [mark for mark in board.ordered("scope") if within(mark)]
    piece.windows = [mark for mark in board.ordered("window") if within(mark)]
    piece.percentiles = [mark for mark in board.ordered("percentile") if within(mark)]


def _join(one: Clause, other: Clause) -> Clause:
    return Clause(
        one.start, other.end, one.joint, one.concepts + other.concepts, one.quantities + other.quantities, one.pers + other.pers,
        one.scopes + other.scopes, one.windows + other.windows, one.percentiles + other.percentiles, one.sentence,
    )  # fmt: skip


_STRONG: Final = {
    ".",
    ";",
    "but",
    "while",
    "whilst",
    "without",
    "then",
    ",",
    "and",
    "plus",
    "yet",
    "although",
    "though",
    "whereas",
    "(",
    ")",
}


def _merge(pieces: list[Clause], board: Board) -> list[Clause]:
    """Join pieces that only make sense together: a metric here and its bound there, a place, a time, a courtesy."""
    out: list[Clause] = []
    for piece in pieces:
        if out and _belongs(out[-1], piece, board):
            out[-1] = _join(out[-1], piece)
        else:
            out.append(piece)
    return out


def _belongs(one: Clause, other: Clause, board: Board) -> bool:
    has_one, has_other = one.bound(board), other.bound(board)
    listed = other.joint in _LIST_WORDS
    if other.sentence != one.sentence and not one.concepts and not has_one and not (one.scopes or one.windows):
        return False
    if not has_other and not other.concepts:
        # A place, a time or a courtesy: it belongs to what stands before, unless that is complete and this leads the next.
        return not (one.quantities and other.joint in {".", ";"} and (other.scopes or other.windows))
    if not has_one and not one.concepts:
        return other.sentence == one.sentence
    if one.concepts and not has_one and not other.concepts:
        return True
    if one.concepts and not has_one and other.concepts:
        # "p99 latency of X, cold starts under 1 %" are two; "requests with images should show their first token" is one.
        return (not listed and other.joint not in _STRONG and other.joint != ":") or (other.joint == ":" and not _compatible(one, other))
    if has_one and not one.concepts and other.concepts and not has_other:
        return True
    weak = other.joint not in _STRONG
    if weak and has_one and not has_other:
        return True
    return weak and has_other and not other.concepts and other.joint in {"with", "that", "which", "before", "or"} and not other.quantities


def _compatible(one: Clause, other: Clause) -> bool:
    mine = {metric for mark in one.concepts for metric in _concept(mark).metrics}
    return bool(mine & {metric for mark in other.concepts for metric in _concept(mark).metrics})


def _concept(mark: Mark) -> Concept:
    concept: Concept = mark.value
    return concept
