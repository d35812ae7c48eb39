"""The audit trail: each entry's hash covers the one before it."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from twin.store.files import canonical
from twin.store.records import Approval, AuditEntry, IntentVersion, row_of, utc

GENESIS: Final = "0" * 64
APPROVAL: Final = "intent.decision"


def chained(entry: AuditEntry) -> str:
    """Return the SHA-256 of an entry's own fields and the hash of the entry before it."""
    fields = [entry.seq, utc(entry.at).isoformat(timespec="microseconds"), entry.actor, entry.action, entry.subject, dict(entry.detail)]
    return hashlib.sha256(canonical([*fields, entry.previous_hash]).encode()).hexdigest()


def subject_of(intent_id: str, version: int) -> str:
    """Return how the trail names one version of an intent.

    >>> subject_of("I-01", 2)
    'I-01/2'
    """
    return f"{intent_id}/{version}"


def content_digest(version: IntentVersion) -> str:
    """Return the SHA-256 of what was approved: everything of a version but its state, which goes on changing."""
    kept = {name: value for name, value in _plain(version).items() if name != "state"}
    return hashlib.sha256(canonical(kept).encode()).hexdigest()


def approval_digest(approval: Approval) -> str:
    """Return the SHA-256 of one decision."""
    return hashlib.sha256(canonical(_plain(approval)).encode()).hexdigest()


def _plain(record: IntentVersion | Approval) -> dict[str, Any]:
    return {name: str(value) for name, value in zip(type(record).__slots__, row_of(record), strict=True)}


def approval_detail(approval: Approval, version: IntentVersion) -> dict[str, str]:
    """Return what the trail keeps of a decision, so that neither it nor what it was about can be changed unseen."""
    return {
        "decision": approval.decision,
        "policy_id": approval.policy_id,
        "approval_sha256": approval_digest(approval),
        "version_sha256": content_digest(version),
    }


def broken_links(trail: Sequence[AuditEntry]) -> list[str]:
    """Return one line for each entry that is missing, moved or changed; empty where the chain is whole."""
    lines: list[str] = []
    expected_seq, previous = 1, GENESIS
    for entry in trail:
        if entry.seq != expected_seq:
            lines.append(f"audit entries {expected_seq} to {entry.seq - 1} are missing")
        elif entry.previous_hash != previous:
            lines.append(f"audit entry {entry.seq} does not follow the entry before it")
        if chained(entry) != entry.hash:
            lines.append(f"audit entry {entry.seq} has been changed")
        expected_seq, previous = entry.seq + 1, entry.hash
    return lines


def unbacked(trail: Iterable[AuditEntry], approvals: Iterable[Approval], versions: Mapping[tuple[str, int], IntentVersion]) -> list[str]:
    """Return one line for each decision that the trail does not know as it now stands, and for each that is gone."""
    said = {entry.detail["approval_sha256"]: entry for entry in trail if entry.action == APPROVAL}
    lines: list[str] = []
    seen: set[str] = set()
    for approval in approvals:
        subject, digest = subject_of(approval.intent_id, approval.version), approval_digest(approval)
        seen.add(digest)
        entry = said.get(digest)
        version = versions.get((approval.intent_id, approval.version))
        if entry is None:
            lines.append(f"the decision on {subject} by {approval.actor} is not in the audit trail as it stands")
        elif version is None or content_digest(version) != entry.detail["version_sha256"]:
            lines.append(f"intent {subject} has changed since the decision by {approval.actor}")
    lines += [f"the decision on {entry.subject} by {entry.actor} is gone" for digest, entry in said.items() if digest not in seen]
    return lines
