"""The one metric to push: minimise, as cheap as possible, the biggest."""

import re
from typing import Final

from policies.intent.interpret import choice, ops
from policies.intent.interpret.canon import Mark
from policies.intent.interpret.choice import Choice
from policies.intent.interpret.drafts import Draughts
from policies.intent.interpret.words import Concept, lexicon
from twin.metrics import METRICS

_EXTREME_OF: Final = {
    "cheap": "cost", "cheaper": "cost", "fast": "latency", "quick": "latency", "cool": "gpu_temp", "cold": "gpu_temp",
    "green": "carbon", "fastest": "latency", "cheapest": "cost",
    "cheaply": "cost", "quickest": "latency", "coolest": "gpu_temp", "greenest": "carbon",
}  # fmt: skip


def meant(work: Draughts, index: int, mark: Mark, relative: bool = True) -> Choice:
    """Return what a concept means in its clause, without a number."""
    concept: Concept = mark.value
    per = work.clauses[index].pers[0].value if work.clauses[index].pers else None
    percentile = work.percentile(index, mark.start)
    if concept.name == "gpus" and relative:
        return Choice(("serving.gpus_mean",))
    return choice.choose(concept, None, per, relative, work.scope_kinds(index), percentile)


def objective(work: Draughts, index: int) -> None:
    """Note what a clause wants pushed to its extreme."""
    clause, words = work.clauses[index], work.words[index]
    for pattern, sense in ((ops.MINIMIZE, "minimize"), (ops.MAXIMIZE, "maximize"), (ops.OPTIMISE, "best")):
        for match in pattern.finditer(work.board.rest, clause.start, clause.end):
            overlapped = any(mark.start < match.end() and match.start() < mark.end for mark in (*words.compare, *words.holds))
            if overlapped and not _verb(match[0]) and (clause.quantities or match[0] not in {"min", "max", "minimum", "maximum"}):
                continue
            mark = _extreme(work, index, match)
            if mark is not None:
                cold = re.search(r"\bcoo?l|\bcold", match[0]) is not None
                if cold and mark.value.name == "gpus":
                    mark = Mark("concept", mark.start, mark.end, lexicon().concept("gpu_temp"))
                # "The cheapest VMs" are those whose price is cut the most.
                cheap = mark.value.name == "price_cut" and "cheap" in match[0] + work.board.rest[mark.start : mark.end]
                _aim(work, index, mark, "maximize" if cheap else sense)


def _verb(text: str) -> bool:
    return text.startswith(("minimi", "maximi", "optimi", "as ", "how", "prioriti"))


def _extreme(work: Draughts, index: int, match: re.Match[str]) -> Mark | None:
    """Return the concept whose extreme is asked for."""
    clause = work.clauses[index]
    free = [mark for mark in clause.concepts if mark.start not in work.spoken]
    inside = [mark for mark in free if mark.start < match.end() and match.start() < mark.end]
    after = [mark for mark in free if 0 <= mark.start - match.end() <= (60 if _verb(match[0]) else 24)]
    before = [mark for mark in free if mark.end <= match.start()] if match[0].startswith("as ") else []
    found = inside or after or before[-1:]
    if found:
        return found[0]
    if "cheap" in match[0] and any(mark.value.name == "pod_hosts" for mark in clause.concepts):
        return Mark("concept", match.start(), match.end(), lexicon().concept("host_cost"))
    named = next((_EXTREME_OF[word] for word in re.findall(r"[a-z]+", match[0]) if word in _EXTREME_OF), None)
    if named is not None and (match[0].startswith("as ") or not clause.concepts):
        return Mark("concept", match.start(), match.end(), lexicon().concept(named))
    return None


def _aim(work: Draughts, index: int, mark: Mark, sense: str) -> None:
    chosen = meant(work, index, mark, relative=mark.value.name != "gpus")
    work.spoken.add(mark.start)
    if mark.value.name == "gpus":
        chosen = Choice(("serving.gpus_mean",))
    if not chosen.metrics and chosen.about == "meaning":
        # "A pod for 16 hosts, cheapest possible": what is designed says whose cost.
        built = {METRICS[draft.metric].domain for draft in work.drafts} & {"memory", "workflows"}
        left = tuple(metric for metric in mark.value.metrics if METRICS[metric].domain in built)
        chosen = Choice(left) if len(left) == 1 else chosen
    if not chosen.metrics:
        work.ask(index, chosen.about or "meaning", chosen.question or "What is to be pushed to its extreme?")
        return
    metric = chosen.metrics[0]
    better = "minimize" if METRICS[metric].better == "lower" else "maximize"
    if mark.value.name in {"throttling"}:
        work.ask(index, "meaning", "Which throttling is to be the objective: thermal or power?")
        return
    aimed = better if sense == "best" or mark.value.name in {"latency"} else sense
    work.objectives.append((aimed, metric, mark))
    work.inform(metric, chosen.assumed)
    # "minimise energy and water": a second one stands bare in the next clause.
    _bare_followers(work, index, aimed)


def _bare_followers(work: Draughts, index: int, sense: str) -> None:
    for other in range(index + 1, len(work.clauses)):
        clause = work.clauses[other]
        if clause.joint not in {"and", ",", "plus", "as well as"} or clause.bound(work.board) or len(clause.concepts) != 1:
            return
        if (
            len(re.findall(r"[a-z]+", clause.text(work.board)))
            > len(re.findall(r"[a-z]+", work.board.rest[clause.concepts[0].start : clause.concepts[0].end])) + 2
        ):
            return
        mark = clause.concepts[0]
        chosen = meant(work, other, mark)
        work.spoken.add(mark.start)
        if chosen.metrics:
            work.objectives.append((sense, chosen.metrics[0], mark))
        else:
            work.ask(other, chosen.about or "meaning", chosen.question or "Which metric is meant?")
