"""The embedded reader: a grammar of operators' English, without network."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from policies.intent import guards
from policies.intent.interpret import bounds, choices, numerals, percentiles, podnames, quantities, refusals, scopes, typos, windows
from policies.intent.interpret.assemble import assemble
from policies.intent.interpret.canon import Board, Canon
from policies.intent.interpret.clauses import concepts, split
from policies.intent.interpret.drafting import quantities as draft_quantities
from policies.intent.interpret.drafts import Draughts
from policies.intent.interpret.lists import followers
from policies.intent.interpret.reader import Reading, Site
from policies.intent.interpret.wishes import wishes
from policies.intent.interpret.words import published_systems
from policies.intent.model import Finding

READER_ID: Final = "intentwin-embedded/grammar-1"
_CONTRACTIONS: Final = (
    (re.compile(r"(?<!\w)(?:can't|cant|cannot|can not)(?!\w)"), "can not"),
    (re.compile(r"(?<!\w)(?:won't|wont)(?!\w)"), "will not"),
    (re.compile(r"(?<!\w)shan't(?!\w)"), "shall not"),
    (re.compile(r"(?<!\w)(do|does|did|must|should|is|are|was|were|have|has|had|could|would|need|may|might|ought)n'?t(?!\w)"), None),
)


@cache
def _ids() -> re.Pattern[str]:
    """Return the names of systems as files write them, with underscores: they are said with spaces."""
    return re.compile(r"(?<!\w)(?:" + "|".join(name for name in published_systems() if "_" in name) + r")(?!\w)")


def canonical(text: str, site: Site) -> Canon:
    """Return the text as the grammar works on it: clean, spelled right, numbers as figures."""
    canon = Canon.of(text)
    canon = (
        canon.sub(re.compile(r"[‘’‛`´]"), lambda match: "'")
        .sub(re.compile(r"[“”„«»\"]"), lambda match: " ")
        .sub(re.compile(r"[−]"), lambda match: "-")
    )
    canon = canon.sub(_ids(), lambda match: match[0].replace("_", " "))
    for pattern, written in _CONTRACTIONS:
        canon = canon.sub(pattern, lambda match, written=written: written or f"{match[1]} not")  # type: ignore[misc]
    names = frozenset(word for ids in site.entities.values() for name in ids for word in re.findall(r"[a-z]{3,}", name))
    names |= frozenset(word for name in published_systems() for word in name.split("_"))
    return numerals.rewrite(podnames.canonical(typos.rewrite(canon, names)))


class EmbeddedReader:
    """Grammar, lexicon and guards; the same answer for the same text, always."""

    id = READER_ID

    def read(self, text: str, site: Site) -> Reading:
        """Return what was understood; never raises on any text."""
        long = guards.too_long(text)
        if long is not None:
            return Reading(guards.refused(text, long), (long,), self.id)
        canon = canonical(text, site)
        if not re.search(r"[^\W_]", canon.text):
            return _nothing(text, "What should the datacenter do?")
        if refusals.foreign(canon.text):
            return _nothing(text, "Could you say this in English?")
        work, settings, where, findings = recognise(canon, text, site)
        return assemble(text, work, settings, where, findings, self.id)


def recognise(canon: Canon, text: str, site: Site) -> "tuple[Draughts, dict[str, str], dict[str, object], list[Finding]]":
    """Return the drafts, the settings and where they were read, and what is refused."""
    board = Board.of(canon)
    findings = refusals.injected(board, text)
    findings += refusals.switched_off(board) if not findings else []
    scopes.mark(board, site)
    scopes.join(board)
    settings, asked, where = choices.mark(board, site)
    findings += windows.states(board)
    windows.mark(board)
    windows.join(board)
    percentiles.mark(board)
    quantities.mark(board)
    findings += refusals.acts(board) if not findings else []
    found = concepts(board)
    clauses = split(board, found)
    work = Draughts(board, site, clauses, [bounds.words_of(board, clause) for clause in clauses])
    work.findings += asked
    for index in range(len(clauses)):
        draft_quantities(work, index)
    for index in range(len(clauses)):
        wishes(work, index)
    followers(work)
    return work, settings, dict(where), findings


def _nothing(text: str, question: str, findings: Sequence[Finding] = ()) -> Reading:
    asked = Finding(severity="question", about="meaning", text=question)
    return Reading(guards.refused(text, asked), (*findings, asked), READER_ID)
