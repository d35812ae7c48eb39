"""Any LiteLLM model as a reader: a schema, checked, repaired once."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

from policies import llm
from policies.intent import guards
from policies.intent.interpret import wire
from policies.intent.interpret.reader import Reading, Site
from policies.intent.model import Finding

TIMEOUT_S: Final = 30.0
BUDGET_USD: Final = 0.10
_RAW_KEPT: Final = 20_000


@dataclass(slots=True)
class ModelReader:
    """A reader that proposes; every guard stands between its reply and the Intent. ``calls`` records each call."""

    model: str
    timeout_s: float = TIMEOUT_S
    budget_usd: float | None = BUDGET_USD
    calls: list[dict[str, Any]] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The model, as LiteLLM names it."""
        return self.model

    def read(self, text: str, site: Site) -> Reading:
        """Return what the model understood; a reply that cannot be used ends in one question."""
        long = guards.too_long(text)
        if long is not None:
            return Reading(guards.refused(text, long), (long,), self.id)
        shown = guards.clean(text)[0]
        messages: list[dict[str, str]] = [{"role": "system", "content": wire.system_text()}, {"role": "user", "content": shown}]
        raw, problem = "", ""
        for _ in range(2):
            try:
                reply = llm.complete(messages, wire.schema(site), model=self.model, timeout_s=self.timeout_s, budget_usd=self.budget_usd)
            except llm.ModelError as error:
                return self._unusable(text, str(error), raw)
            self.calls.append(reply.record())
            raw = reply.text
            try:
                if reply.finish_reason == "length":
                    raise ValueError("the reply was cut off; answer shorter")
                intent = wire.parse(raw, text[: guards.TEXT_LIMIT], site)
            except ValueError as error:
                problem = str(error)
                repair = f"That reply cannot be used: {problem}. Return the corrected JSON only."
                messages = [*messages, {"role": "assistant", "content": raw[:4000]}, {"role": "user", "content": repair}]
                continue
            return self._held(intent, site, raw)
        return self._unusable(text, f"{self.model} gave no usable reading: {problem}", raw)

    def _held(self, intent: Any, site: Site, raw: str) -> Reading:
        asked = [Finding(severity="question", about=item.about, text=item.text) for item in intent.questions]
        numbers = [*guards.numbers_in(guards.clean(intent.text)[0]), *_worded(intent.text, site)]
        intent, failed = guards.hold(intent, dict(site.entities), numbers)
        findings = [*asked, *failed]
        if intent.empty() and not findings:
            findings.append(
                Finding(severity="question", about="meaning", text="What should the datacenter do differently, and by how much?")
            )
        return Reading(
            intent.model_copy(update={"questions": guards.questions_of(findings)}), tuple(findings), self.id, {}, raw[:_RAW_KEPT]
        )

    def _unusable(self, text: str, problem: str, raw: str) -> Reading:
        finding = Finding(severity="question", about="meaning", text=f"{problem[:300]}; say it otherwise or use the embedded reader.")
        return Reading(guards.refused(text, finding), (finding,), self.id, {}, raw[:_RAW_KEPT])


def _worded(text: str, site: Site) -> list[float]:
    """Return the numbers that a text writes in words."""
    from policies.intent.interpret.embedded import canonical

    return guards.numbers_in(canonical(text, site).text.replace("frac", " ").replace("outof", " "))


def digest(text: str) -> str:
    """Return the SHA-256 of a text, as the audit trail names prompts and replies."""
    return hashlib.sha256(text.encode()).hexdigest()
