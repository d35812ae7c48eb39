"""What each kind of job does, in its own process: one call down."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from app.jobs import CancelledError, Reporter, alone

if TYPE_CHECKING:
    from twin.run import Progress

Worker = Callable[[Mapping[str, Any], Path, Reporter], dict[str, Any]]


# How much of a what-if the hours before it are.
_BEGIN_SHARE: Final = 0.8


def _told(report: Reporter, from_share: float = 0.0, until_share: float = 1.0) -> "Callable[[Progress], None]":
    return lambda now: report(from_share + (until_share - from_share) * now.done_share, now.text)


def example(spec: Mapping[str, Any], home: Path, report: Reporter) -> dict[str, Any]:
    """Run today's policy on the default scenario, so that a fresh install opens on a finished run."""
    return run({"scenario": "example", **spec}, home, report)


def run(spec: Mapping[str, Any], home: Path, report: Reporter) -> dict[str, Any]:
    """Run one policy set on one scenario. Spec: scenario, policy (JSON, today's where it is left out), seed."""
    from policies import study
    from policies.policy import TODAY, PolicySet
    from twin.scenario import load

    scenario = load(spec["scenario"])
    policy = PolicySet.model_validate(spec["policy"]) if spec.get("policy") else TODAY
    seed = int(spec.get("seed") or scenario.seed)
    run_id = study.run(scenario, policy, seed, home, progress=_told(report), cancel=report.cancelled, label=str(spec.get("label", "")))
    return {"run_id": run_id}


def try_on_twin(spec: Mapping[str, Any], home: Path, report: Reporter) -> dict[str, Any]:
    """Run today's policy and an intent's candidate in the same worlds. Spec: intent_id, version, seeds, actor, role."""
    from policies.intent import lifecycle

    actor = lifecycle.Actor(name=spec["actor"], role=spec["role"])
    found = lifecycle.try_on_twin(
        home,
        spec["intent_id"],
        spec["version"],
        seeds=spec.get("seeds") or None,
        actor=actor,
        at=datetime.now(UTC),
        progress=_told(report),
        cancel=report.cancelled,
    )
    return {"today_run_id": found.today_run_id, "candidate_run_id": found.candidate_run_id}


def explore(spec: Mapping[str, Any], home: Path, report: Reporter) -> dict[str, Any]:
    """Try candidates around what an intent was compiled to. Spec: intent_id, version, seed."""
    from policies.intent import lifecycle

    found = lifecycle.explore(
        home, spec["intent_id"], spec["version"], seed=spec.get("seed"), progress=_told(report), cancel=report.cancelled
    )
    return {**found.json_dict(), "today_run_id": found.today_run_id}


def claims(spec: Mapping[str, Any], home: Path, report: Reporter) -> dict[str, Any]:
    """Check the published claims of one system, or of all. Spec: system."""
    from policies import drilled, reproduce

    told = _told(report)
    rows = reproduce.reproduce(
        home,
        spec.get("system"),
        workers=2,
        progress=told,
        cancel=report.cancelled,
        scored_incidents=drilled.Harness(workers=2, progress=told, cancel=report.cancelled),
    )
    return {"rows": rows}


def what_if(spec: Mapping[str, Any], home: Path, report: Reporter) -> dict[str, Any]:
    """Ask a stored run again with something lost. Spec: run_id, kind, target, t_s, name."""
    from policies import variants

    began_s = time.monotonic()
    run_id, t_s = spec["run_id"], float(spec["t_s"])
    # Questions about one run share how it came to its moments: the first one makes it, the others wait for it.
    with alone(home, f"begin-{run_id}", report, "waiting for the hours before, which another question runs"):
        variants.begin(run_id, t_s, home, progress=_told(report, until_share=_BEGIN_SHARE), cancel=report.cancelled)
    told = _told(report, from_share=_BEGIN_SHARE)
    answer = variants.what_if(run_id, spec["kind"], spec["target"], t_s, home, name=spec["name"], progress=told, cancel=report.cancelled)
    return {"run_id": answer, "took_s": time.monotonic() - began_s}


def ablation(spec: Mapping[str, Any], home: Path, report: Reporter) -> dict[str, Any]:
    """Run parts of TAPAS in the world of a stored run. Spec: run_id."""
    from policies import variants

    return {"run_ids": variants.ablate(spec["run_id"], home, progress=_told(report), cancel=report.cancelled)}


def design(spec: Mapping[str, Any], home: Path, report: Reporter) -> dict[str, Any]:
    """Work out the pod and the plans of jobs that answer an intent. Spec: intent_id, version."""
    from policies.intent import lifecycle

    at = datetime.now(UTC)
    report(0.1, "what can be built and planned is looked at before the run")
    design_ = lifecycle.design(home, spec["intent_id"], spec["version"], at=at)
    return {"design": design_, "plans": lifecycle.plans(home, spec["intent_id"], spec["version"], at=at)}


def front(spec: Mapping[str, Any], home: Path, report: Reporter) -> dict[str, Any]:
    """Price every pod that could be built and try it on past demand. Spec: that of ``_seen``."""
    from policies.systems.octopus import survey
    from policies.systems.octopus.knobs import OctopusKnobs

    return survey.survey(OctopusKnobs(), _seen(spec, home, report), _stoppable(report)).told()


def fillings(spec: Mapping[str, Any], home: Path, report: Reporter) -> dict[str, Any]:
    """Fill one pod in several ways with past demand. Spec: that of ``_seen``, and ``design``, the pod's name."""
    from policies.systems.octopus import fillings, options
    from policies.systems.octopus.knobs import OctopusKnobs
    from twin.memory.designs import parse

    knobs = OctopusKnobs()
    site = options.Site.of(_seen(spec, home, report), knobs.headroom_share, knobs.migrate)
    pod = parse(spec["design"]).build()
    if pod.hosts > site.past.hosts:
        raise ValueError(f"the pod has {pod.hosts} hosts and the fleet {site.past.hosts}; take a smaller one")
    found = fillings.compare(pod, site, told=_stoppable(report))
    return {"fillings": [each.told() for each in found], "days": site.past.span_s / 86_400.0}


def hints(spec: Mapping[str, Any], home: Path, report: Reporter) -> dict[str, Any]:
    """Run a stored run again with other hints. Spec: run_id, edits (as the URL carries them), name."""
    from app import hint_edits
    from policies import variants
    from twin.workloads.negotiation.classes import named

    settings = variants.scenario_of(spec["run_id"], home).spec.workloads.negotiation
    written = settings.model_dump(mode="json")["tenants"]
    edits = hint_edits.read(spec["edits"], [each["id"] for each in written], list(named(settings.classes)))
    tenants = [hint_edits.changed(each, edits.get(each["id"], {})) for each in written]
    run_id = variants.negotiated(spec["run_id"], tenants, home, name=spec["name"], progress=_told(report), cancel=report.cancelled)
    return {"run_id": run_id}


def plan(spec: Mapping[str, Any], home: Path, report: Reporter) -> dict[str, Any]:
    """Run a stored run again with a plan of a workflow pinned. Spec: run_id, levers (workflow_plan and its holders), name."""
    from policies import variants

    run_id = variants.replanned(spec["run_id"], spec["levers"], home, name=spec["name"], progress=_told(report), cancel=report.cancelled)
    return {"run_id": run_id}


def investigate(spec: Mapping[str, Any], home: Path, report: Reporter) -> dict[str, Any]:
    """Look into an incident of a stored run. Spec: run_id, incident_id, policy (JSON, ours where left out), moments_s (usual ones).

    What does not answer the same way each time, a language model, is asked anew.
    """
    from policies import investigate as asking
    from policies.policy import PolicySet

    policy = PolicySet.model_validate(spec["policy"]) if spec.get("policy") else asking.OURS
    moments_s = [float(t_s) for t_s in spec.get("moments_s") or ()] or None
    told = _stoppable(report)
    found = asking.investigate(spec["run_id"], spec["incident_id"], policy, home, moments_s=moments_s, progress=told)
    return {"investigation_id": found.investigation_id}


def load_curve(spec: Mapping[str, Any], home: Path, report: Reporter) -> dict[str, Any]:
    """Call one function at rising loads under each runtime. Spec: function, cores, cached, settings (costs by runtime)."""
    from app import hops

    del home
    return hops.curves(spec, _stoppable(report))


def _seen(spec: Mapping[str, Any], home: Path, report: Reporter) -> Any:
    """Return the hosts with what stood on them before a run. Spec: run_id (empty for none), scenario, seed, settings of memory."""
    from dataclasses import replace

    from policies import study, variants
    from twin.scenario import load

    report(0.0, "what stood on the hosts before the run")
    scenario = variants.scenario_of(spec["run_id"], home) if spec.get("run_id") else load(spec["scenario"])
    seen = study.topology_seen(scenario, int(spec["seed"]))
    return replace(seen, settings=seen.settings.model_copy(update=dict(spec["settings"])))


def _stoppable(report: Reporter) -> Callable[[float, str], None]:
    """Return a report that stops the work where somebody asked for that."""

    def told(share: float, text: str) -> None:
        if report.cancelled():
            raise CancelledError
        report(share, text)

    return told


KINDS: Final[Mapping[str, Worker]] = {
    "example": example,
    "try": try_on_twin,
    "explore": explore,
    "run": run,
    "claims": claims,
    "what_if": what_if,
    "ablation": ablation,
    "design": design,
    "front": front,
    "fillings": fillings,
    "hints": hints,
    "investigate": investigate,
    "load_curve": load_curve,
    "plan": plan,
}
