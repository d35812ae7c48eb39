"""What a driver did: each thought, call and observation, in order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from twin.incidents.tools import Arguments, ErrorKind, Reply, Toolbox
from twin.incidents.toolset import COLUMNS
from twin.incidents.trajectory import Step

_NUMBERS: Final = frozenset(
    ("hops", "before", "after", "robust_z", "n_sigma", "median_shift", "onset_s", "samples", "time", "value", "count", "similarity")
)


@dataclass(slots=True)
class Trace:
    """Calls tools for a driver and writes down what came of it."""

    tools: Toolbox
    steps: list[Step] = field(default_factory=list)

    def call(self, thought: str, action: str, arguments: Arguments) -> Reply:
        """Call a tool and note the step; an error is noted and handed back like any other answer."""
        reply = self.tools.call(action, arguments)
        observation = reply.words if reply.ok else f"{reply.error_kind}: {reply.error}"
        self.note(thought, action, arguments, observation, reply)
        return reply

    def note(
        self,
        thought: str,
        action: str,
        arguments: Arguments,
        observation: str,
        reply: Reply | None = None,
        *,
        error_kind: ErrorKind = "",
        tokens: tuple[int, int, float] = (0, 0, 0.0),
    ) -> None:
        """Note a step whose observation the driver wrote itself; ``tokens`` are those in, those out, and their price in USD."""
        self.steps.append(
            Step(
                number=len(self.steps) + 1,
                thought=thought,
                action=action,
                arguments=dict(arguments),
                observation=observation,
                evidence_id="" if reply is None else reply.evidence_id,
                ok=not error_kind if reply is None else reply.ok,
                error_kind=error_kind if reply is None else reply.error_kind,
                tokens_in=tokens[0],
                tokens_out=tokens[1],
                cost_usd=tokens[2],
            )
        )


def rows_of(reply: Reply) -> pl.DataFrame:
    """Return the rows of one of our own tools with all its columns; none where it failed or lacks one that it must have.

    Columns of numbers are floats, the others texts.
    """
    wanted = COLUMNS[reply.tool]
    schema = {name: pl.Float64 if name in _NUMBERS else pl.String for name in wanted}
    if not reply.ok or reply.rows.is_empty() or not set(wanted) <= set(reply.rows.columns):
        return pl.DataFrame(schema=schema)
    return reply.rows.select(pl.col(name).cast(kind, strict=False) for name, kind in schema.items())


def details_of(reply: Reply) -> Mapping[str, Any]:
    """Return the fields of the tool ``incident_details``."""
    frame = rows_of(reply)
    return dict(zip(frame["field"].to_list(), frame["value"].to_list(), strict=True))
