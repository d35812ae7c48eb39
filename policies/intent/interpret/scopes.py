"""Places in a sentence: rows, racks, servers, hosts, services."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from policies.intent.interpret.canon import Board
from policies.intent.interpret.reader import Site
from policies.intent.interpret.words import rule
from policies.policy import ScopeSpec
from twin.metrics import ScopeKind

_NUMBERED: Final[tuple[ScopeKind, ...]] = ("row", "rack", "server", "host")
_ITEM: Final = r"(?:#|no\.? ?|number )?\d+"
_LIST: Final = rule("scopes.list")
_ORDINAL: Final = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5}
_ORDINAL_PLACE: Final = re.compile(r"(?<!\w)(first|second|third|fourth|fifth|1st|2nd|3rd|4th|5th) (row|rack|server)(?!s?\w)")
_SHORT: Final = re.compile(r"(?<![\w\-])(r|rk|srv)-?(\d{1,3})(?![\w%]|\.\d)")
_SAID: Final = rule("scopes.said")
_STRANGE: Final = rule("scopes.strange")
_EXCEPT: Final = rule("scopes.except")
_KIND_WORDS: Final[Mapping[ScopeKind, str]] = {
    "endpoint": r"endpoints?|models?|services?|deployments?|llms?|bots?|api",
    "workload": r"workloads?|vms?|tenants?|customers?|machines?",
    "function": r"functions?|lambdas?|invocations?|calls?",
    "workflow": r"workflows?|pipelines?|jobs?|dag|runs?",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A mention of places: known ones, or the words of what is unknown or ambiguous."""

    specs: tuple[ScopeSpec, ...]
    problem: str = ""
    kind: str = ""

    @property
    def kinds(self) -> set[str]:
        """Return the kinds of place that are spoken of, known or not."""
        return {spec.kind for spec in self.specs} | ({self.kind} if self.kind else set())


def mark(board: Board, site: Site) -> None:
    """Mark every mention of a place on the board."""
    _mark_named(board, site)
    for match in list(_LIST.finditer(board.rest)):
        if board.rest[match.start() : match.end()] == match[0]:
            _take(board, match.start(), match.end(), _listed(match, site))
    for match in list(_ORDINAL_PLACE.finditer(board.rest)):
        _take(board, match.start(), match.end(), _known(match[2], [_ORDINAL[match[1]]], site))
    for match in list(_SHORT.finditer(board.rest)):
        kind = {"r": "row", "rk": "rack", "srv": "server"}[match[1]]
        _take(board, match.start(), match.end(), _known(kind, [int(match[2])], site))
    for match in list(_STRANGE.finditer(board.rest)):
        _take(
            board,
            match.start(),
            match.end(),
            Place((), f"{match[0].strip()} is not a place of this site; which rows, racks or servers are meant?"),
        )


def join(board: Board) -> None:
    """Join places that are named in one breath: chat-70b and chat-8b."""
    found = board.ordered("scope")
    place = 0
    while place + 1 < len(found):
        one, two = found[place], found[place + 1]
        between = board.canon.text[one.end : two.start]
        same = one.value.kinds == two.value.kinds and not one.value.problem and not two.value.problem
        if same and re.fullmatch(r"\s*(?:,|and|&|or|/|nor|,\s*and|as well as|plus)\s*(?:the |on |for |of |in )?", between):
            specs = tuple(dict.fromkeys(one.value.specs + two.value.specs))
            board.marks.remove(one)
            board.marks.remove(two)
            found[place : place + 2] = [board.take("scope", one.start, two.end, Place(specs))]
        else:
            place += 1


def _take(board: Board, start: int, end: int, place: Place) -> None:
    if _EXCEPT.search(board.rest[:start]):
        place = Place(
            (), kind=next(iter(place.kinds), ""), problem="Places left out cannot be written as a scope; which ones are meant instead?"
        )
    board.take("scope", start, end, place)


def _listed(match: re.Match[str], site: Site) -> Place:
    numbers: list[int] = []
    for one in re.finditer(
        r"(\d+)(?:\s*(?:to|through|thru|till|until|\-|\.\.)\s*(?:(?:row|rack|server|host)s?[ \-]*)?(?:#|no\.? ?|number )?(\d+))?", match[2]
    ):
        first, last = int(one[1]), int(one[2] or one[1])
        if last < first or last - first > 400:
            return Place((), f"{one[0]} is not a range of {match[1]}s; which ones are meant?", match[1])
        numbers += range(first, last + 1)
    return _known(match[1], numbers, site)


def _known(kind: str, numbers: Iterable[int], site: Site) -> Place:
    ids = site.entities.get(kind, ())
    by_number = {int(found[1]): name for name in ids if (found := re.search(rf"^{kind}\D*(\d+)$", name))}
    wanted = list(dict.fromkeys(numbers))
    missing = [number for number in wanted if number not in by_number]
    if missing:
        return Place((), f"There is no {kind}-{missing[0]}; which {kind} is meant?", kind)
    return Place(tuple(ScopeSpec(kind=kind, id=by_number[number]) for number in wanted))


def _pattern_of(name: str) -> str:
    """Return a pattern for an id however it is spaced: video-understanding, video understanding, chat70b."""
    parts = re.findall(r"\d+b|[a-z]+|\d+", name)
    return r"[ \-_/]*".join(part + ("s?" if part.isalpha() and len(part) > 3 else "") for part in parts)


def _named(site: Site) -> list[tuple[re.Pattern[str], tuple[ScopeSpec, ...]]]:
    """Return the patterns of whole names, longest first."""
    found: list[tuple[str, tuple[ScopeSpec, ...]]] = []
    for kind in ("endpoint", "workload", "function", "workflow"):
        for name in site.entities.get(kind, ()):
            spec = (ScopeSpec(kind=kind, id=name),)
            found.append((_pattern_of(name), spec))
            size = re.fullmatch(r"([a-z]+)-(\d+b)", name)
            if size:
                found.append((rf"{size[2]} {size[1]}", spec))
            found += [(alias, spec) for alias in _aliases(name)]
    found.sort(key=lambda item: -len(item[0]))
    # A name may be followed by the word for its kind.
    return [
        (re.compile(rf"(?<![\w\-])(?:{pattern})(?:'s)?(?![\w]|-\w)(?: (?:{_KIND_WORDS[spec[0].kind]})(?:'s)?(?!\w))?"), spec)
        for pattern, spec in found
    ]


def _aliases(name: str) -> list[str]:
    """Return names turned round: image resizing for resize-image, mail sending for send-mail."""
    match = re.fullmatch(r"(resize|send|make|build|render|encode|parse|fetch)-([a-z]+)", name)
    if match is None:
        return []
    verb = match[1].rstrip("e")
    return [rf"{match[2]}[ \-]{verb}(?:e|er|ing)?", rf"{verb}(?:ing|er)[ \-](?:the )?{match[2]}s?"]


def _mark_named(board: Board, site: Site) -> None:
    for pattern, specs in _named(site):
        for match in list(pattern.finditer(board.rest)):
            if board.rest[match.start() : match.end()] == match[0] and _is_name(board.rest, match, specs[0]):
                _take(board, match.start(), match.end(), Place(specs))
    _mark_sized(board, site)
    _mark_partial(board, site)


_REPORT_BEFORE: Final = re.compile(r"(?:^|[,;.:]\s*|\b(?:for|of|on|the|every|each|per|a|build|design|plan|any|makes?|whole) )$")


def _is_name(text: str, match: re.Match[str], spec: ScopeSpec) -> bool:
    """A one-word name that is also an ordinary word counts only where it stands as a name."""
    if "-" in spec.id or (" " in match[0].strip() and re.search(r"\b(?:workflow|pipeline|job|workload|vm|run)s?$", match[0])):
        return True
    before, after = text[: match.start()], text[match.end() :]
    if spec.id == "report":
        if _SAID.search(before):
            return False
        if re.search(r"\b(?:change|monthly|weekly|audit|the pdf|incident|to)(?: of)?(?: the)? $", before) or re.match(
            r"\s*(?:on |to me|back|that|how|whether)", after
        ):
            return False
        return bool(_REPORT_BEFORE.search(before)) or re.search(r"\b(?:jobs?|workflows?|makespan|stages?)\b", text) is not None
    if spec.id == "search":
        return not re.match(r" (?:for|the|through|in)\b", after)
    return True


_SIZED: Final = re.compile(r"(?<![\w.])(?:([a-z]+)[ \-])?(\d+)[ \-]?b(?![\w])(?: (?:endpoints?|models?))?")


def _mark_sized(board: Board, site: Site) -> None:
    """Mark sizes such as ``the 70b`` and names with a size that the site does not have."""
    ids = site.entities.get("endpoint", ())
    for match in list(_SIZED.finditer(board.rest)):
        stem, size = match[1] or "", f"{match[2]}b"
        same = [name for name in ids if name.endswith("-" + size)]
        stems = {name.rsplit("-", 1)[0] for name in ids}
        start = match.start() if stem in stems else match.start(2)
        if stem in stems or not same:
            close = [name for name in ids if name.startswith(stem + "-")] if stem in stems else list(ids)
            words = f"There is no endpoint {stem + '-' + size if stem in stems else size}; is it {' or '.join(close[:4])}?"
            _take(board, start, match.end(), Place((), words, "endpoint"))
        elif len(same) == 1:
            _take(board, start, match.end(), Place((ScopeSpec(kind="endpoint", id=same[0]),)))
        else:
            _take(board, start, match.end(), Place((), f"Which endpoint: {' or '.join(same)}?", "endpoint"))


def _mark_partial(board: Board, site: Site) -> None:
    """Mark part of a name beside the word for its kind: the vision endpoint, the training VMs."""
    for kind, kind_words in _KIND_WORDS.items():
        by_part: dict[str, list[str]] = {}
        for name in site.entities.get(kind, ()):
            for part in re.findall(r"[a-z]{3,}", name):
                by_part.setdefault(part, []).append(name)
        for part, names in by_part.items():
            for match in list(re.finditer(rf"(?<![\w\-]){part}(?:s|ing)?(?: |-)(?:{kind_words})(?![\w])", board.rest)):
                specs = tuple(ScopeSpec(kind=kind, id=name) for name in names)
                both = re.search(r"\b(?:both|all|the two|each|every)(?: of)?(?: the)?(?: \d)? $", board.rest[: match.start()]) is not None
                plain = len(specs) == 1 or both
                _take(board, match.start(), match.end(), Place(specs) if plain else Place((), f"Which {kind}: {' or '.join(names)}?", kind))
    stems: dict[str, list[str]] = {}
    for name in site.entities.get("endpoint", ()):
        stems.setdefault(name.rsplit("-", 1)[0], []).append(name)
    for stem, names in stems.items():
        for match in list(
            re.finditer(rf"(?:(?<=\bon )|(?<=\bfor )|(?<=\bof )|(?<=^)|(?<=, )|(?<=: ))(?:the )?{stem}(?:'s)?(?= |,|$|\.|:)", board.rest)
        ):
            specs = tuple(ScopeSpec(kind="endpoint", id=name) for name in names)
            _take(
                board,
                match.start(),
                match.end(),
                Place(specs) if len(specs) == 1 else Place((), f"Which endpoint: {' or '.join(names)}?", "endpoint"),
            )
