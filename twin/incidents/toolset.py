"""The tools that every investigator has: arguments and columns of replies."""

from collections.abc import Mapping
from typing import Any, Final

from twin.incidents.tools import Tool

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "number"}
_FROM: Final = {"type": "number", "description": "begin of the window, seconds since the start of the run"}
_TO: Final = {"type": "number", "description": "end of the window, seconds; never later than the as-of time"}
_ENTITIES: Final = {"type": "array", "items": _TEXT, "description": "only these entities; left out: all"}
_CONE: Final = {"type": "string", "description": "only what this entity depends on, with itself"}


def _takes(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


HISTORY_FOUND: Final = (
    "incident_id", "similarity", "began", "resolved", "site", "title", "text", "entity_kind", "metric", "severity", "cause",
    "mechanism", "checked",
)  # fmt: skip
SUBMIT: Final = Tool(
    "submit",
    "End the investigation with ranked causes. Every statement cites evidence ids that say so; 'inconclusive' is an answer.",
    _takes(
        ("hypotheses", "status"),
        hypotheses={
            "type": "array",
            "maxItems": 5,
            "items": _takes(
                ("entity", "cause", "mechanism", "score", "statements"),
                entity=_TEXT,
                cause={"type": "string", "description": "a class of cause"},
                mechanism={"type": "string", "description": "how it brings the symptom about"},
                path={"type": "array", "items": _TEXT, "description": "entities from the cause to the symptom, along the topology"},
                onset_s=_NUMBER,
                score={"type": "number", "minimum": 0, "maximum": 1},
                statements={
                    "type": "array",
                    "items": _takes(
                        ("words", "entity", "evidence"),
                        words=_TEXT,
                        entity=_TEXT,
                        evidence={"type": "array", "items": _TEXT, "description": "evidence ids, such as E3"},
                        supports={"type": "boolean", "description": "false where it speaks against"},
                    ),
                },
            ),
        },
        status={"type": "string", "enum": ["confirmed", "likely", "inconclusive"]},
        ruled_out={"type": "array", "items": _TEXT, "description": "what was ruled out, each with its reason"},
    ),
)

TOOLS: Final = (
    Tool("incident_details", "What is known of the incident: symptom, texts, alerts.", _takes(question=_TEXT)),
    Tool(
        "topology",
        "What an entity hangs on (depends_on), or what hangs on it (depended_on_by), nearest first; with 'to' only shortest ways there.",
        _takes(
            ("entity",),
            entity=_TEXT,
            direction={"type": "string", "enum": ["depends_on", "depended_on_by"]},
            hops={"type": "integer", "minimum": 1, "maximum": 12},
            to=_TEXT,
        ),
    ),
    Tool(
        "anomaly_scan",
        "Which metrics changed in a window against the time before: robust z, n-sigma, median shift, onset. Strongest first, at most "
        "'each' rows of each kind of entity.",
        _takes(("from_s", "to_s"), from_s=_FROM, to_s=_TO, normal_from_s=_NUMBER, cone_of=_CONE, entities=_ENTITIES, each=_NUMBER),
    ),
    Tool(
        "change_point",
        "When a metric of an entity changed most, and by how much.",
        _takes(("entity", "metric"), entity=_TEXT, metric=_TEXT),
    ),
    Tool("list_metrics", "The metrics of an entity.", _takes(("entity",), entity=_TEXT)),
    Tool(
        "query_metric",
        "The readings of one metric of one entity, mean (or min, max) over every_s.",
        _takes(
            ("entity", "metric"),
            entity=_TEXT,
            metric=_TEXT,
            from_s=_FROM,
            to_s=_TO,
            every_s=_NUMBER,
            by={"type": "string", "enum": ["mean", "min", "max"]},
        ),
    ),
    Tool(
        "change_log",
        "Deployments, settings and switches of policy in a window.",
        _takes(("from_s", "to_s"), from_s=_FROM, to_s=_TO, entities=_ENTITIES),
    ),
    Tool(
        "events",
        "Events, alerts and logs (counted by template) in a window.",
        _takes(
            ("from_s", "to_s"),
            from_s=_FROM,
            to_s=_TO,
            cone_of=_CONE,
            entities=_ENTITIES,
            least={"type": "string", "enum": ["info", "warning", "error"]},
        ),
    ),
    Tool("blast_radius", "What would suffer if this entity failed.", _takes(("entity",), entity=_TEXT)),
    Tool(
        "history_search",
        "Resolved incidents like a text, the most alike first.",
        _takes(("query",), query=_TEXT, k={"type": "integer", "minimum": 1, "maximum": 50}),
    ),
    Tool("history_get", "One resolved incident.", _takes(("incident_id",), incident_id=_TEXT)),
    Tool("sql", "One SELECT over telemetry, topology, entities, changes, events, logs, alerts, history.", _takes(("query",), query=_TEXT)),
    Tool("runbook_search", "Runbooks on a subject.", _takes(("query",), query=_TEXT, k={"type": "integer", "minimum": 1, "maximum": 10})),
    Tool("runbook_plan", "The steps of a runbook.", _takes(("name",), name=_TEXT)),
    Tool("ask_person", "Ask the operator for what no tool gives.", _takes(("question",), question=_TEXT)),
    SUBMIT,
)

# The columns of what each tool answers, in this order. A team's tool answers whatever its query selects.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "incident_details": ("field", "value"),
    # ``source`` suffers when ``target`` does; ``hops`` counts from the entity asked for to the farther end of the edge.
    "topology": ("source", "source_kind", "target", "target_kind", "kind", "hops"),
    # ``before`` is the median of the normal window, ``after`` that of the suspect one since the column's onset (all of it without an
    # onset, which is empty then); ``samples`` counts the suspect window's minutes with readings: 0 where a column fell silent.
    "anomaly_scan": ("entity", "kind", "metric", "unit", "before", "after", "robust_z", "n_sigma", "median_shift", "onset_s", "samples"),
    "change_point": ("entity", "metric", "onset_s", "before", "after", "robust_z"),
    "list_metrics": ("entity", "metric", "unit", "samples"),
    "query_metric": ("time", "entity", "metric", "value"),
    "change_log": ("time", "entity", "kind", "actor", "words"),
    # ``source`` is event, log or alert; ``kind`` the event's kind, the log's template, the alert's metric; ``count`` of lines.
    "events": ("time", "entity", "source", "kind", "level", "count", "value", "words"),
    "blast_radius": ("entity", "kind", "hops"),
    "history_search": HISTORY_FOUND,
    "history_get": HISTORY_FOUND,
    "runbook_search": ("name", "similarity", "words"),
    "runbook_plan": ("step", "words"),
    "ask_person": ("answer",),
    "submit": ("status",),
}
