"""From a cause to intents in words that would prevent or soften it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from policies.intent.remedies import BY_CAUSE, Case, Facts, by_symptom
from twin.incidents.case import Incident
from twin.incidents.causes import CAUSES
from twin.incidents.trajectory import Hypothesis, Status

__all__ = ["MOST", "Facts", "Proposal", "proposed", "unpreventable"]
MOST: Final = 3
# Why nothing can be asked for where no holder of any lever acts on what broke.
_NO_LEVER: Final[Mapping[str, str]] = {
    "chiller_lost": "no row holds GPUs whose load could be moved; a spare chiller is a matter of building",
    "air_handler_lost": "no row of the aisle holds GPUs whose load could be moved; repair the handler",
    "ups_lost": "no row behind the unit holds GPUs that could be slowed; repair or replace the unit",
    "pdu_lost": "the row has no second feed that could carry it; a second PDU is a matter of building",
    "rack_blocked": "the rack is none of this fleet's; clear what blocks its air",
    "sensor_drift": "no policy makes a sensor right; calibrate or replace it",
    "gpu_throttled": "nothing that was asked of an endpoint suffers, and no policy mends a GPU; take it to maintenance",
    "gpu_lost": "nothing that was asked of an endpoint suffers, and no policy mends a GPU; take it to maintenance",
    "instance_lost": "nothing that was asked of an endpoint suffers; its owner starts the instance again",
    "power_cap_wrong": "the row holds no GPUs whose load could be moved; set the cap right",
    "policy_change_wrong": "what suffers is not held by any lever; go back to the policy set before the change",
    "slow_nic": "no lever places services on hosts; take the host out of service and replace the card",
    "noisy_neighbour": "no lever places services on hosts; move the neighbour or reserve cores",
    "memory_leak": "no lever steers services; mend the leak, and restart the instances until then",
    "bad_deployment": "no lever steers services; roll the deployment back",
    "certificate_expired": "no lever steers services; renew the certificate, and watch its last day",
    "traffic_burst": "no lever steers services, and no endpoint suffers; more instances or a limit of the rate is for its owner",
    "retry_storm": "no lever steers services; a retry budget at the callers is for their owners",
    "hint_flood": "the limits on hints refuse what is too much already; its owner has to stop it",
    "none": "nothing was broken, so that nothing is to be prevented",
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """An intent in words, ready for the intent bar, and why it is proposed."""

    words: str
    why: str


def proposed(hypothesis: Hypothesis, incident: Incident, facts: Facts, status: Status = "likely") -> tuple[Proposal, ...]:
    """Return up to three intents that would prevent or soften a cause, the nearest to the cause first.

    Nothing is proposed from an inconclusive answer, nor where no lever acts on it (``unpreventable`` says why). Whether an intent
    does help is for the twin to show: the words are to be tried, and go through reading and checks like any other.
    """
    if status == "inconclusive" or hypothesis.cause not in CAUSES:
        return ()
    case = Case(hypothesis, incident, facts)
    meets = BY_CAUSE.get(hypothesis.cause)
    nearest = meets(case) if meets else []
    found = [*nearest[: MOST - 1], *by_symptom(case), *nearest[MOST - 1 :]]
    named = f"{CAUSES[hypothesis.cause].title} at {hypothesis.entity_id}"
    how_sure = "confirmed" if status == "confirmed" else "likely, not confirmed"
    unique = {words: f"{named} ({how_sure}): {why}" for words, why in reversed(found)}
    return tuple(Proposal(words, unique[words]) for words in dict.fromkeys(words for words, _ in found))[:MOST]


def unpreventable(cause: str) -> str:
    """Return why no intent prevents a class of cause where ``proposed`` has none."""
    return f"No lever prevents this, because {_NO_LEVER.get(cause, 'no class of cause is known')}."
