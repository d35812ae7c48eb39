"""What the operator asks and decides, with who and when."""

import getpass
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import streamlit as st

from app import jobs, state
from policies.llm import available

LIVE: Final = ("approved", "active", "met", "at_risk", "broken")
ROLES: Final = ("operator", "serving approver", "plant approver", "approver")


def name() -> str:
    """Return who is at the console: what they wrote into the rail, else the login name of the server's process."""
    return str(st.session_state.get("you-name") or _login())


def role() -> str:
    """Return in which role."""
    chosen = st.session_state.get("you-role")
    return chosen if chosen in ROLES else ROLES[0]


def model() -> str | None:
    """Return the LiteLLM model that reads this session's words (at first INTENTWIN_MODEL); None takes the embedded reader."""
    return str(st.session_state.get("you-model", available() or "")) or None


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"


def actor() -> Any:
    """Return who acts, as every command of the life cycle takes it."""
    from policies.intent.lifecycle import Actor

    return Actor(name=name(), role=role())


def now() -> datetime:
    """Return the moment of a command."""
    return datetime.now(UTC)


def capture(text: str) -> None:
    """Take down a request, have it read and checked, and open it. Raises ValueError for what cannot be taken down."""
    from policies.intent import lifecycle

    now_open = state.context()
    record = lifecycle.capture(state.home(), text, scenario=now_open.scenario, actor=actor(), at=now(), model=model())
    state.set_intent(record.intent_id)
    design(record)


def sentence(intent: Any) -> str:
    """Return what was understood, with the values of the site that is shown where a change is not one against today."""
    from policies.intent.model import read_back
    from policies.intent.references import no_reference, references

    run_id = state.context().run_id
    look = no_reference if run_id is None else references(state.run(run_id).manifest["scenario"].get("memory"))
    return str(read_back(intent, look))


def builds(record: Any) -> bool:
    """Return whether a record's policy set builds something that can be told before it is run, and nothing in it is open."""
    from policies.intent.model import Finding
    from policies.intent.pinning import asks_for_design, without_design

    # That no pod keeps every bound is told beside the pods that come nearest.
    waits = any(item.severity != "info" for item in without_design([Finding.model_validate(item) for item in record.findings]))
    return bool(record.policy) and not waits and asks_for_design(record.policy)


def plans(record: Any) -> bool:
    """Return whether a record's policy set plans jobs by somebody who can tell the plans before a run, and nothing else is open."""
    from policies.intent.model import Finding
    from policies.intent.planned import asks_for_plan, without_plans
    from policies.policy import PolicySet

    waits = any(item.severity != "info" for item in without_plans([Finding.model_validate(item) for item in record.findings]))
    return bool(record.policy) and not waits and asks_for_plan(PolicySet.model_validate(dict(record.policy)))


def design(record: Any) -> None:
    """Have the pod and the plans that answer a record worked out beside the server, where it asks for any."""
    if builds(record) or plans(record):
        jobs.submit("design", {"intent_id": record.intent_id, "version": record.version}, state.home())


def build(record: Any, field: str) -> None:
    """Take another of the pods that answer a record, the one chosen in a field, as a new version."""
    from policies.intent import lifecycle

    name = str(st.session_state[field])
    _said_if_wrong(lambda: design(lifecycle.build(state.home(), record.intent_id, name, actor=actor(), at=now())))


def open_pod(name: str) -> None:
    """Open the Memory page on a pod by the name of its design."""
    state.set_draft(pod=name, host=None, lost=None)
    state.go("memory")


def _stamp() -> int:
    ledger = state.home() / "ledger.duckdb"
    return ledger.stat().st_mtime_ns if ledger.is_file() else 0


@st.cache_resource(max_entries=8, show_spinner=False)
def _ledger(home_text: str, stamp: int) -> tuple[list[Any], list[Any], list[Any]]:
    if not stamp:
        return [], [], []
    from twin.store.ledger import Ledger

    with Ledger(Path(home_text)).transaction() as ledger:
        return ledger.intents(), ledger.evidence(), ledger.approvals()


def _read() -> tuple[list[Any], list[Any], list[Any]]:
    return _ledger(str(state.home()), _stamp())


def intents() -> list[Any]:
    """Return the latest version of every intent, the newest intent first."""
    latest = {record.intent_id: record for record in _read()[0]}
    return sorted(latest.values(), key=lambda record: record.created_at, reverse=True)


def standing() -> list[Any]:
    """Return what is to be held against runs: of every intent the version in force, else the latest unless it was decided against."""
    found = []
    for record in intents():
        live = [item for item in versions(record.intent_id) if item.state in LIVE]
        if live:
            found.append(live[-1])
        elif record.state not in {"rejected", "retired", "revised"}:
            found.append(record)
    return found


def versions(intent_id: str) -> list[Any]:
    """Return every version of an intent, oldest first."""
    return [record for record in _read()[0] if record.intent_id == intent_id]


def evidence(intent_id: str, version: int) -> Any | None:
    """Return the newest evidence for a version; None before it was tried."""
    found = [item for item in _read()[1] if item.intent_id == intent_id and item.version == version]
    return found[-1] if found else None


def decisions(intent_id: str) -> list[Any]:
    """Return the decisions on an intent, oldest first."""
    return [item for item in _read()[2] if item.intent_id == intent_id]


def policy_words(record: Any) -> list[str]:
    """Return what a record's policy changes against today's, one line a lever."""
    from policies import catalogue
    from policies.policy import TODAY, PolicySet

    return catalogue.describe(PolicySet.model_validate(dict(record.policy)), TODAY)


def edit(record: Any, intent: Any) -> None:
    """Keep a changed reading as a new version."""
    from policies.intent import lifecycle

    design(lifecycle.edit(state.home(), record.intent_id, intent, actor=actor(), at=now()))


def answer(record: Any, about: str, text: str) -> None:
    """Answer an open question in words."""
    from policies.intent import lifecycle

    _said_if_wrong(lambda: design(lifecycle.answer(state.home(), record.intent_id, about, text, actor=actor(), at=now())))


def decide(what: str, record: Any, note: str) -> None:
    """Approve, reject, roll back or retire a version, in the name and role of who is at the console."""
    from policies.intent import lifecycle
    from policies.intent.model import Intent, read_back

    command = getattr(lifecycle, what)
    # The approver's sentence goes along: what is put in force is what was read.
    shown = {"read_back_as": read_back(Intent.model_validate(dict(record.intent)))} if what == "approve" else {}
    _said_if_wrong(lambda: command(state.home(), record.intent_id, record.version, actor=actor(), at=now(), note=note, **shown))


def adopt(record: Any, policy: Mapping[str, Any]) -> None:
    """Put a candidate that was explored in the place of the compiled policy, as a new version."""
    from policies.intent import lifecycle
    from policies.policy import PolicySet

    chosen = PolicySet.model_validate(dict(policy))
    _said_if_wrong(lambda: design(lifecycle.adopt(state.home(), record.intent_id, chosen, actor=actor(), at=now())))


def _said_if_wrong(command: Callable[[], Any]) -> None:
    try:
        command()
    except ValueError as error:
        state.say(str(error))


def try_it(record: Any, seeds_key: str) -> None:
    """Start the trial of a version beside the server; pages show its runs once they are stored."""
    state.set_today(None)
    state.set_candidate(None)
    first = state.context().seed
    count = int(st.session_state.get(seeds_key) or 1)
    spec = {"intent_id": record.intent_id, "version": record.version, "seeds": list(range(first, first + count))}
    jobs.submit("try", {**spec, "actor": name(), "role": role()}, state.home())


def explore(record: Any) -> None:
    """Start the search for candidates beside the server; pages stay with the candidate that they show."""
    shown = state.context()
    if shown.today and shown.candidate:
        state.pin(shown.today, shown.candidate)
    spec = {"intent_id": record.intent_id, "version": record.version, "seed": state.context().seed}
    jobs.submit("explore", spec, state.home())


def see(today: str, candidate: str) -> None:
    """Show the two runs of a trial on every page."""
    state.set_today(today)
    state.set_candidate(candidate)
