"""One or two readers on one text: where they differ, the operator chooses."""

from dataclasses import dataclass
from typing import Literal

from policies.intent import guards
from policies.intent.interpret.embedded import EmbeddedReader
from policies.intent.interpret.model_reader import ModelReader
from policies.intent.interpret.reader import Reading, Site
from policies.intent.model import Finding, Intent, read_back

Agreement = Literal["one reader", "agree", "differ"]


@dataclass(frozen=True, slots=True)
class Understood:
    """What stands after all readers: the Intent to show, its findings, and what each reader said."""

    intent: Intent
    findings: tuple[Finding, ...]
    readings: tuple[Reading, ...]
    agreement: Agreement

    @property
    def reading(self) -> Reading:
        """The reading that the Intent comes from."""
        return self.readings[0]

    @property
    def blocked(self) -> bool:
        """Whether the request is refused."""
        return any(finding.severity == "block" for finding in self.findings)


def understand(text: str, site: Site, model: str | None = None) -> Understood:
    """Read a text with the embedded reader, and with a model beside it where one is named.

    A model proposes and never overrides: where both read the same the reading says so, where they differ it becomes a question.
    A refusal of either stands.
    """
    embedded = EmbeddedReader().read(text, site)
    # What the code refuses is not sent to a model at all.
    if model is None or embedded.blocked:
        return Understood(embedded.intent, embedded.findings, (embedded,), "one reader")
    other = ModelReader(model).read(text, site)
    if _silent(other):
        words = other.open_questions[0].text if other.open_questions else "it gave no reading"
        note = Finding(severity="info", about="meaning", text=f"The second reader did not help: {words}"[:400])
        return Understood(embedded.intent, (*embedded.findings, note), (embedded, other), "one reader")
    if same(embedded.intent, other.intent):
        note = Finding(severity="info", about="meaning", text=f"{other.reader} reads it the same way")
        return Understood(embedded.intent, (*embedded.findings, note), (embedded, other), "agree")
    text_ = f"{other.reader} reads it otherwise: {read_back(other.intent)} Which is meant?"
    finding = Finding(severity="question", about="meaning", text=text_[:400])
    findings = (*embedded.findings, finding)
    intent = embedded.intent.model_copy(update={"questions": guards.questions_of(findings)})
    return Understood(intent, findings, (embedded, other), "differ")


def _silent(reading: Reading) -> bool:
    return reading.intent.empty() and not reading.blocked


def meaning(intent: Intent) -> tuple[object, ...]:
    """Return what an intent asks for, however it is written down: places and times are those in effect."""
    wishes = frozenset(
        (wish.metric, wish.op, round(wish.value, 9), wish.relative, wish.strength, frozenset(intent.scope_of(wish)), intent.window_of(wish))
        for wish in intent.expectations
    )
    settings = frozenset((lever, str(choice["system"])) for lever, choice in intent.settings.items())
    return wishes, intent.objective, settings


def same(one: Intent, other: Intent) -> bool:
    """Return whether two intents ask for the same."""
    return meaning(one) == meaning(other)
