"""Commands of an intent's life: intent, explore, approve, rollback."""

import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from app.commands.site import Place
from app.commands.terminal import LONGEST_INPUT, Answer, as_json, home, login, now, progress_bar, say, table
from policies.intent.check import check
from policies.intent.compile import Compiled, compile_intent
from policies.intent.interpret.understand import Understood, understand
from policies.intent.model import Finding, Intent, read_back
from policies.llm import available

if TYPE_CHECKING:
    from policies.intent.explore import Candidate
    from policies.intent.lifecycle import Actor, IntentRecord

NONE_MEETS = 3
REFUSED = 2


def intent(arguments: Namespace) -> Answer:
    """Read a request, check it, compile it; exit 2 where it is refused."""
    arguments.text = _utf8(arguments.text)
    if arguments.text == "-":
        return _lines(arguments)
    if not arguments.text.strip():
        raise ValueError("the request is empty; say what the datacenter should do")
    if arguments.save:
        return _saved(arguments)
    place = Place(arguments.scenario)
    understood, findings, compiled = _read(arguments.text, place, arguments.model or available())
    value, found, told = _with_design(_value(understood.intent, findings, compiled), arguments.scenario)
    value, plans, asked = _with_plans(value, arguments.scenario)
    return _answer(value, [*_words(understood.intent, [*findings, *told, *asked], compiled, place), *found, *plans], findings)


def _lines(arguments: Namespace) -> Answer:
    """Answer every line of standard input with a line of JSON, as it comes."""
    if arguments.save:
        raise ValueError("--save takes one request at a time; give its text instead of -")
    place = Place(arguments.scenario)
    for line in _input():
        understood, findings, compiled = _read(line, place, arguments.model or available())
        sys.stdout.write(as_json(_value(understood.intent, findings, compiled)) + "\n")
        sys.stdout.flush()
    return Answer(None, silent=True)


def _input() -> Iterator[str]:
    while line := sys.stdin.readline(LONGEST_INPUT + 1):
        if len(line) > LONGEST_INPUT and not line.endswith("\n"):
            # What is too long is refused by the reader; the rest of the line must not be taken for another request.
            while (rest := sys.stdin.readline(LONGEST_INPUT)) and not rest.endswith("\n"):
                pass
        yield _utf8(line.rstrip("\n"))


def _utf8(text: str) -> str:
    """Return a text with the replacement character for every byte that was not UTF-8: the rest of it can still be read."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _read(text: str, place: Place, model: str | None) -> tuple[Understood, list[Finding], Compiled]:
    from app.shelf import readings

    understood = understand(text, place.site, model)
    compiled = compile_intent(understood.intent, place.site)
    known = frozenset(readings())
    checked = check(understood.intent, place.site, _active(), measurable=known, covers=place.covers())
    return understood, list(dict.fromkeys([*understood.findings, *checked, *compiled.findings])), compiled


def _active() -> list[tuple[str, Intent]]:
    if not (home() / "ledger.duckdb").is_file():
        return []
    from twin.store.ledger import Ledger

    with Ledger(home()).transaction() as transaction:
        live = [item for item in transaction.intents() if item.state in {"approved", "active", "met", "at_risk", "broken"}]
    return [(item.intent_id, Intent.model_validate(dict(item.intent))) for item in live]


def _value(asked: Intent, findings: list[Finding], compiled: Compiled) -> dict[str, Any]:
    refused = any(finding.severity == "block" for finding in findings)
    policy = None if refused or asked.empty() else compiled.policy.model_dump(mode="json")
    return {"intent": asked.json_dict(), "findings": [finding.model_dump(mode="json") for finding in findings], "policy_set": policy}


def _words(asked: Intent, findings: list[Finding], compiled: Compiled, place: Place) -> list[str]:
    lines = [read_back(asked, place.site.references)]
    lines += table([({"info": "note", "question": "question", "block": "refused"}[f.severity], f.about, f.text) for f in findings])
    return [*lines, *(f"policy: {words}" for words in compiled.reason_words())]


def _with_design(value: dict[str, Any], name: str) -> tuple[dict[str, Any], list[str], list[Finding]]:
    """Return a value with the design that answers a request, where it asks for one and nothing in it is open; its lines; its findings.

    The pod that is chosen is written into the policy set.
    """
    if not _asks_for_design(value):
        return value, [], []
    from policies.intent.designed import designed
    from policies.intent.pinning import findings_of, pinned
    from policies.policy import PolicySet
    from twin.scenario import load

    scenario, policy = load(name), PolicySet.model_validate(value["policy_set"])
    found = designed(scenario, policy, scenario.seed, home() if home().is_dir() else None)
    told = findings_of(found)
    if found is None:
        return value, [], []
    findings = [*value["findings"], *(item.model_dump(mode="json") for item in told)]
    held = pinned(policy, found).model_dump(mode="json")
    return {**value, "findings": findings, "policy_set": held, "design": found}, _design_words(found), told


def _asks_for_design(value: Mapping[str, Any]) -> bool:
    policy = value["policy_set"]
    if policy is None or any(finding["severity"] != "info" for finding in value["findings"]) or "pod_topology" not in policy["levers"]:
        return False
    # Imported here: who asks for no pod waits for no twin.
    from policies.intent.pinning import asks_for_design

    return asks_for_design(policy)


def _design_words(design: Mapping[str, Any]) -> list[str]:
    from app import designs

    rows = designs.table(design)
    missed = [f"misses: {words}" for words in designs.misses(design)]
    heads = ("", "pod", "what it is", *designs.COLUMNS)
    listed = table(rows, heads, right=range(3, len(heads))) if rows else []
    return [f"design: {designs.statement(design)}", f"why: {design['why']}", *missed, *listed, f"basis: {designs.basis(design)}"]


def _with_plans(value: dict[str, Any], name: str) -> tuple[dict[str, Any], list[str], list[Finding]]:
    """Return a value with the plans that answer a request about jobs, where nothing in it is open; their lines; what they ask."""
    policy = value["policy_set"]
    waits = any(finding["severity"] != "info" for finding in value["findings"])
    if policy is None or waits or "workflow_plan" not in policy["levers"]:
        return value, [], []
    from app import fronts
    from policies.intent.planned import findings_of, planned
    from policies.policy import PolicySet
    from twin.scenario import load

    found = planned(load(name), PolicySet.model_validate(policy))
    if not found:
        return value, [], []
    told = findings_of(found)
    findings = [*value["findings"], *(item.model_dump(mode="json") for item in told)]
    lines = []
    for each in found:
        rows, heads = fronts.table(each), ("", "plan", *fronts.COLUMNS)
        lines += [f"plans: {fronts.statement(each)}", f"why: {each['why']}", *(f"misses: {words}" for words in fronts.misses(each))]
        lines += table(rows, heads, right=range(2, len(heads))) if rows else []
    return {**value, "findings": findings, "plans": found}, [*lines, f"basis: {fronts.BASIS}"], told


def _answer(value: Mapping[str, Any], lines: list[str], findings: list[Finding]) -> Answer:
    blocks = [finding.text for finding in findings if finding.severity == "block"]
    if blocks:
        say(f"intentwin intent: refused: {blocks[0]}")
    return Answer(value, lines, REFUSED if blocks else 0)


def _saved(arguments: Namespace) -> Answer:
    from policies.intent import lifecycle

    # What is refused is bad input: it leaves nothing behind. The embedded reader refuses without asking a model.
    place = Place(arguments.scenario)
    understood, findings, compiled = _read(arguments.text, place, None)
    if understood.blocked:
        return _answer(_value(understood.intent, findings, compiled), _words(understood.intent, findings, compiled, place), findings)
    record = lifecycle.capture(
        home(), arguments.text, scenario=arguments.scenario, actor=_actor(arguments), at=now(), model=arguments.model or available()
    )
    found = _designed_and_kept(record)
    if found is not None:
        record = lifecycle.record(home(), record.intent_id)
    asked = Intent.model_validate(dict(record.intent))
    findings = [Finding.model_validate(item) for item in record.findings]
    compiled = compile_intent(asked, place.site)
    value = {"intent_id": record.intent_id, "version": record.version, "state": record.state, **_value(asked, findings, compiled)}
    lines = [f"{record.intent_id} version {record.version}: {record.state}", *_words(asked, findings, compiled, place)]
    if found is not None:
        # The policy set of the ledger, with the pod that was chosen.
        value, lines = {**value, "policy_set": dict(record.policy or {}), "design": found}, [*lines, *_design_words(found)]
    value, plans, _ = _with_plans(value, arguments.scenario)
    return _answer(value, [*lines, *plans], findings)


def _designed_and_kept(record: "IntentRecord") -> dict[str, Any] | None:
    from policies.intent import lifecycle

    value = {"policy_set": record.policy, "findings": record.findings}
    return lifecycle.design(home(), record.intent_id, record.version) if _asks_for_design(value) else None


def _actor(arguments: Namespace) -> "Actor":
    from policies.intent.lifecycle import Actor

    return Actor(name=login() if arguments.actor is None else arguments.actor, role=arguments.role)


def explore(arguments: Namespace) -> Answer:
    """Try candidates for a request on the twin; exit 3 where none meets it."""
    text, model = _utf8(arguments.text), arguments.model or available()
    place = Place(arguments.scenario)
    understood, findings, compiled = _read(text, place, model)
    asked = understood.intent
    for finding in findings:
        if finding.severity == "block":
            raise ValueError(f"refused: {finding.text}")
    open_ = any(finding.severity == "question" for finding in findings)
    if asked.empty() or (open_ and not compiled.policy.levers and not asked.expectations):
        question = next((finding.text for finding in findings if finding.severity == "question"), "it names nothing that the twin knows")
        raise ValueError(f"nothing in it can be tried yet: {question}")
    from policies.intent.explore import explore as search
    from twin.scenario import load

    scenario = load(arguments.scenario)
    found = search(home(), scenario, asked, compiled.policy, seed=arguments.seed, candidates=arguments.candidates, progress=progress_bar())
    value = found.json_dict()
    from app.commands.pools import design_of

    pods = [design_of(item.run_id, home()) for item in found.candidates]
    rows = [
        (
            item.policy.name,
            item.run_id,
            item.reach,
            *([pod or "none"] if any(pods) else []),
            sum(bool(row.met) for row in item.rows),
            _stands(item),
        )
        for item, pod in zip(found.candidates, pods, strict=True)
    ]
    heads = ("candidate", "run", "tried on", *(["pod"] if any(pods) else []), f"of {len(asked.expectations)}", "")
    lines = [read_back(asked, place.site.references), *table(rows, heads, right=(len(heads) - 2,))]
    if found.best is None and found.nearest_miss is not None:
        lines.append(f"none meets it; the nearest is {found.candidates[found.nearest_miss].policy.name}, what binds is {found.binds}")
    return Answer(value, lines, 0 if found.best is not None else NONE_MEETS)


def _stands(item: "Candidate") -> str:
    words = ("meets it" if item.rows else "nothing was bounded") if item.meets else "misses it"
    return f"{words}, lets down {', '.join(item.lets_down)}" if item.lets_down else words


def approve(arguments: Namespace) -> Answer:
    """Put a version of an intent in force; refused without evidence or with an open question."""
    from policies.intent import lifecycle

    _known()
    record = lifecycle.approve(home(), arguments.intent, arguments.number, actor=_actor(arguments), at=now(), note=arguments.note)
    return _decided(record, "approved")


def rollback(arguments: Namespace) -> Answer:
    """Take the version in force back."""
    from policies.intent import lifecycle

    _known()
    return _decided(lifecycle.rollback(home(), arguments.intent, actor=_actor(arguments), at=now(), note=arguments.note), "rolled back")


def _known() -> None:
    """Refuse before a ledger is made where there is none."""
    if not (home() / "ledger.duckdb").is_file():
        raise ValueError('there is no intent yet; make one with `intentwin intent "TEXT" --save`')


def _decided(record: Any, what: str) -> Answer:
    value = {"intent_id": record.intent_id, "version": record.version, "state": record.state, "policy_id": record.policy_id}
    return Answer(value, [f"{record.intent_id}: {what}; version {record.version} is {record.state}"])
