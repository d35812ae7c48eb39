"""How a command names a policy set: a file, an id, or today's."""

from pathlib import Path

from pydantic import ValidationError

from app.commands.terminal import read_json
from policies.policy import TODAY, PolicySet


def policy_of(text: str, home: Path) -> PolicySet:
    """Return the policy set that a text names: ``today``, a JSON file, or the id of a policy or an intent in the ledger.

    Raises ValueError, one line with place and remedy.
    """
    if text == "today":
        return TODAY
    path = Path(text)
    if path.suffix == ".json" or path.is_file():
        return parse(read_json(path, "policy"), f"policy {path.name}")
    return in_ledger(text, home)


def site_of(text: str, home: Path) -> str:
    """Return the scenario that an intent in the ledger was written for; the example for a policy that is no intent's."""
    from policies.intent.versions import scenario_name
    from twin.store.ledger import Ledger

    ledger = Ledger(home)
    if text == "today" or Path(text).is_file() or not ledger.path.exists():
        return "example"
    with ledger.transaction() as transaction:
        intents = [item.intent_id for item in transaction.intents() if text in {item.policy_id, item.intent_id}]
        return scenario_name(transaction, intents[-1]) if intents else "example"


def parse(value: object, place: str) -> PolicySet:
    """Return a policy set from JSON, also where it stands inside what ``intentwin intent --json`` wrote."""
    if isinstance(value, dict) and isinstance(value.get("policy_set"), dict):
        value = value["policy_set"]
    try:
        return PolicySet.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise ValueError(f"{place}: {where}: {first['msg'].lower()}; see `intentwin policies --json` for the form") from None


def in_ledger(text: str, home: Path) -> PolicySet:
    """Return the policy set of a policy or an intent in the ledger, by its id."""
    from twin.store.ledger import Ledger

    ledger = Ledger(home)
    found = []
    if ledger.path.exists():
        with ledger.transaction() as transaction:
            found = [item for item in transaction.intents() if item.policy is not None and text in {item.policy_id, item.intent_id}]
    if not found:
        raise ValueError(
            f"policy {text!r} is neither a file nor known to the ledger; write today, a .json file, or an id of `intentwin policies`"
        )
    return PolicySet.model_validate(found[-1].policy)
