"""Explicit settings in a sentence: which system holds which lever."""

import re
from typing import Final

from policies.intent.interpret import podnames
from policies.intent.interpret.canon import Board, Mark
from policies.intent.interpret.reader import Site
from policies.intent.interpret.words import lexicon, rule
from policies.intent.model import Finding

# Names that are also ordinary words count only beside their lever or after a word of choosing.
_ORDINARY: Final = {
    "static",
    "static_peak",
    "switch",
    "none",
    "nearest",
    "sequential",
    "opaque",
    "as_built",
    "reactive",
    "pace",
    "uniform_cap",
    "raw_score",
    "no_tools",
    "fully_connected",
    "monolithic",
    "retrieval_k10",
    "workload_intelligence",
    "react_rca",
}
_CHOOSE: Final = rule("choices.choose")
_UNKNOWN: Final = (
    re.compile(r"(?:with|via|using|through|by|to|onto|on) (?:the )?(?P<name>[a-z][\w\-]{2,}(?: [a-z][\w\-]+)?)\s*(?:please)?\s*[.!]?\s*$"),
    re.compile(r"(?:use|let|try|pick|choose|select|adopt|have|enable|put) (?:the )?(?P<name>[a-z][\w\-]{2,})(?: |\b)"),
)
_REFUSED: Final = re.compile(
    r"\b(?:not|never|stop|without|no longer|except|anything but|any (?:\w+ )?but|other than|instead of|rather than|quit|avoid|no more)\b"
)
# What a system serves with when it is handed an endpoint, every lever that it can hold.
_OF_ENDPOINTS: Final = ("stage_layout", "instance_config", "instance_scaling", "request_routing")
_OF_PODS: Final = ("pod_topology", "pool_allocation")
_POOLING: Final = re.compile(r"(?<!\w)(?:pool|pools|pooling|pooled)(?!\w)|(?<!\w)for (?:the )?(?:cxl )?(?:memory|dram)(?!\w)")
_KEPT: Final = re.compile(
    r"(?<!\w)(?:keep|hold|run|leave|have) (?:exactly |just |only |always )?(?P<count>\d{1,5}) instances"
    r"(?: (?:of|for|on) (?:each|every)(?: endpoint)?)?(?: (?:on|up|running))?(?!\w)(?P<of>\s+(?:of|on|for|at) (?:the )?\ue000+)?"
)
_SPLIT: Final = re.compile(r"[,;.](?=\s|$)|(?<!\w)(?:and|but|while|with(?= \S+ (?:under|below|at))|without)(?!\w)")


# What stands before and after a name that is chosen and nothing else: no noun follows to which the word could belong.
_CHOSEN: Final = re.compile(r"(?<!\w)(?:use|choose|pick|adopt|go with) (?:the )?$")
# What something is held against is not chosen by it: "no dearer than the fully connected pod".
_COMPARED: Final = re.compile(r"(?<!\w)(?:than|against|versus|vs|compared (?:to|with)|relative to|of what) (?:the |a |an )?$")
_ENDS: Final = re.compile(r"\s*(?:$|[,;.]|(?:on|for|in|at|and|but|everywhere)(?!\w))")


def mark(board: Board, site: Site) -> tuple[dict[str, str], list[Finding], dict[str, Mark]]:
    """Mark levers and systems; return lever -> system, the questions, and where each was read."""
    settings: dict[str, str] = {}
    findings: list[Finding] = []
    where: dict[str, Mark] = {}
    before: Mark | None = None
    podnames.mark(board, settings, where)
    _mark_systems(board)
    _kept(board, settings, findings, where)
    for start, end in _segments(board):
        _listed(board, site, (start, end), before, settings, where)
        _segment(board, site, (start, end), settings, findings, where)
        inside = [found for found in board.ordered("system") if start <= found.start < end]
        before = inside[-1] if inside else None
    return settings, findings, where


def _kept(board: Board, settings: dict[str, str], findings: list[Finding], where: dict[str, Mark]) -> None:
    """Read "keep 12 instances": the static holder with its knob, which is the same for every endpoint."""
    match = _KEPT.search(board.rest)
    if match is None or not int(match["count"]):
        return
    if match["of"] is None:
        settings["instance_scaling"] = "static_peak"
        where["instance_scaling"] = Mark("knobs", match.start(), match.end(), {"instances": int(match["count"])})
    else:
        text = f"A fixed number of instances is the same for every endpoint; are {match['count']} of each meant?"
        findings.append(_ask("instance_scaling", text))
    board.take("taken", match.start(), match.start("of") if match["of"] else match.end())


def _listed(
    board: Board, site: Site, piece: tuple[int, int], before: Mark | None, settings: dict[str, str], where: dict[str, Mark]
) -> None:
    """Read "aladdin for scaling and routing": the second lever has the same holder."""
    # A place after the lever ("and routing on chat-70b") is no part of what is listed.
    text = re.sub(r"\b(?:on|for|of|at|in) (?:the )?\ue000+", lambda match: " " * len(match[0]), board.rest[piece[0] : piece[1]])
    if before is None or re.search(r"[\ue000\ue003\ue005]|\d", text) or len(text.split()) > 4:
        return
    levers = [name for name, pattern in lexicon().strong_levers.items() if pattern.search(text)]
    if len(levers) == 1 and before.value in site.levers.get(levers[0], ()):
        settings[levers[0]] = str(before.value)
        where[levers[0]] = before
        for match in re.finditer(r"[a-z'\-]+", text):
            board.take("taken", piece[0] + match.start(), piece[0] + match.end())


def _mark_systems(board: Board) -> None:
    for name, (pattern, _) in lexicon().systems.items():
        for match in list(pattern.finditer(board.rest)):
            if name in _ORDINARY and (_COMPARED.search(board.rest[: match.start()]) or not _beside(board, name, match)):
                continue
            board.take("system", match.start(), match.end(), name)


def _beside(board: Board, name: str, match: re.Match[str]) -> bool:
    """An ordinary word is a system's name beside one of its levers."""
    levers = lexicon().systems[name][1]
    start, end = _around(board.rest, match.start(), match.end())
    segment = board.rest[start : match.start()] + " " * (match.end() - match.start()) + board.rest[match.end() : end]
    if name in {"workload_intelligence", "react_rca"} and len(match[0]) > 5:
        return True
    # "monolithic instances" names its lever itself, the word alone does not.
    if name == "monolithic" and len(match[0].split()) > 1:
        return True
    # "use static peak on chat-70b" chooses it in so many words.
    if _CHOSEN.search(board.rest[: match.start()]) and _ENDS.match(board.rest[match.end() :]):
        return True
    if re.search(r"\d|\ue003", segment):
        return False
    if re.search(r"(?:back|revert|return) to (?:the )?$", board.rest[: match.start()]):
        return True
    return any(
        table[lever].search(segment) for lever in levers for table in (lexicon().strong_levers, lexicon().weak_levers) if lever in table
    )


def _around(text: str, start: int, end: int) -> tuple[int, int]:
    before = [match.end() for match in _SPLIT.finditer(text[:start])]
    after = _SPLIT.search(text[end:])
    return (before[-1] if before else 0), (end + after.start() if after else len(text))


def _segments(board: Board) -> list[tuple[int, int]]:
    held = board.ordered("system", "scope")
    out, last = [], 0
    for match in _SPLIT.finditer(board.rest):
        if not any(mark.start < match.end() and match.start() < mark.end for mark in held):
            out.append((last, match.start()))
            last = match.end()
    return [*out, (last, len(board.rest))]


def _segment(
    board: Board, site: Site, piece: tuple[int, int], settings: dict[str, str], findings: list[Finding], where: dict[str, Mark]
) -> None:
    start, end = piece
    text = board.rest[start:end]
    systems = [found for found in board.ordered("system") if start <= found.start < end]
    strong = [name for name, pattern in lexicon().strong_levers.items() if pattern.search(text)]
    if not systems:
        _unknown(board, piece, strong, findings)
        return
    refused = _REFUSED.search(text)
    barred = any(re.search(r"\b(?:(?:any|all|every)(?: \w+)? (?:but|except)|no) $", board.canon.text[: system.start]) for system in systems)
    if barred or (refused is not None and any(start + refused.start() < system.start for system in systems)):
        lever = strong[0] if strong else next((name for name, holders in site.levers.items() if systems[0].value in holders), "meaning")
        findings.append(_ask(lever, f"Who should hold {_words(lever)} instead of {systems[0].value}?"))
        _clear(board, start, end, systems)
        return
    weak = [name for name, pattern in lexicon().weak_levers.items() if pattern.search(text)]
    for system in systems:
        able = [lever for lever, holders in site.levers.items() if system.value in holders]
        named = _spoken(board, system, piece, strong, able) or [lever for lever in weak if lever in able]
        if len(named) == 1 and named[0] in able:
            settings[named[0]] = str(system.value)
            where[named[0]] = system
        elif strong and not any(lever in able for lever in strong):
            holders = ", ".join(site.levers.get(strong[0], ()))
            findings.append(_ask(strong[0], f"{system.value} cannot hold {_words(strong[0])}; it is held by one of {holders}."))
        elif len(able) == 1:
            settings[able[0]] = str(system.value)
            where[able[0]] = system
        elif set(able) == set(_OF_PODS) and _POOLING.search(text):
            findings += _handed(system, able, settings, where)
        elif _endpoint_named(board, piece) and any(lever in _OF_ENDPOINTS for lever in able):
            findings += _handed(system, [lever for lever in able if lever in _OF_ENDPOINTS], settings, where)
        else:
            findings.append(
                _ask("meaning", f"{system.value} can hold {', '.join(_words(lever) for lever in able)}; which of them is meant?")
            )
    _clear(board, start, end, systems)


def _endpoint_named(board: Board, piece: tuple[int, int]) -> bool:
    """Whether a segment names endpoints, and nothing but endpoints, as its place."""
    named = [found.value.kinds for found in board.ordered("scope") if piece[0] <= found.start < piece[1]]
    return bool(named) and all(set(kinds) == {"endpoint"} for kinds in named)


def _handed(system: Mark, levers: list[str], settings: dict[str, str], where: dict[str, Mark]) -> list[Finding]:
    """Give a system every lever of the endpoints that are handed to it; ask where another one was given a lever before."""
    taken = [lever for lever in levers if settings.get(lever, system.value) != system.value]
    if taken:
        words = f"{_words(taken[0])} is given to {settings[taken[0]]} and to {system.value}"
        return [_ask(taken[0], f"{words}; one request gives a lever to one system: which is meant here?")]
    for lever in levers:
        settings[lever] = str(system.value)
        where[lever] = system
    text = f"{system.value} is handed all that it can hold there: {', '.join(_words(lever) for lever in levers)}."
    return [Finding(severity="info", about=levers[0], text=text)]


def _spoken(board: Board, system: Mark, piece: tuple[int, int], strong: list[str], able: list[str]) -> list[str]:
    return [lever for lever in strong if lever in able]


def _words(lever: str) -> str:
    return lever.replace("_", " ")


def _ask(about: str, text: str) -> Finding:
    return Finding(severity="question", about=about, text=text)


def _unknown(board: Board, piece: tuple[int, int], strong: list[str], findings: list[Finding]) -> None:
    """A lever handed to a name that no one knows is asked about."""
    start, end = piece
    text = board.rest[start:end]
    if not strong or re.search(r"\ue003|\d", text):
        return
    for pattern in _UNKNOWN:
        match = pattern.search(text)
        if (
            match
            and not any(table.search(match["name"]) for table in lexicon().strong_levers.values())
            and match["name"].split()[0] not in {"the", "today", "be", "do", "all", "more", "less", "chat"}
        ):
            findings.append(_ask(strong[0], f"{match['name']} is not known; who should hold {_words(strong[0])}?"))
            board.take("taken", start, end)
            return


def _clear(board: Board, start: int, end: int, systems: list[Mark]) -> None:
    """Take the words of a setting out, up to a bound that stands in the same breath."""
    text = board.rest[start:end]
    bound = re.search(r"\ue003|\d ?%|\d[ -]hosts?(?!\w)|(?<!\w)(?:minimi|maximi|keep|under|below|above|at most|at least|no worse)", text)
    if bound is None:
        for match in re.finditer(r"[a-z'\-]+", text):
            board.take("taken", start + match.start(), start + match.end())
