"""The embedded reader behind LiteLLM: intentwin-embedded/grammar-1."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from policies import llm
from policies.intent.interpret import wire
from policies.intent.interpret.embedded import EmbeddedReader
from policies.intent.interpret.reader import Site

PROVIDER: Final = "intentwin-embedded"


def register(site: Site) -> str:
    """Let anything in this process that speaks LiteLLM ask the embedded reader; return the model's name."""
    reader = EmbeddedReader()

    def answer(messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any] | None, model: str) -> str:
        text = next((message["content"] for message in reversed(messages) if message["role"] == "user"), "")
        reading = reader.read(text, site)
        if schema is not None and schema.get("title") == wire.TITLE:
            return wire.render(reading.intent)
        findings = [finding.model_dump(mode="json") for finding in reading.findings]
        return json.dumps({"intent": reading.intent.json_dict(), "findings": findings})

    llm.register_provider(PROVIDER, answer)
    return reader.id
