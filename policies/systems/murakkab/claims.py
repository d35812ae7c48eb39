"""What Murakkab's papers say, and how ours is computed."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from policies.claim import Claim, Contender, Measured, Search, Sweep, over
from policies.systems.murakkab import evidence

SCENARIO: Final = "murakkab"
TENANTS: Final = "murakkab-tenants"
WRITTEN: Final = "as written"
OURS: Final = "murakkab"
ITEMS: Final = "workflows.workflows[video].items"
CONSTRAINT: Final = "workflows.workflows[video].constraint"
QUALITY: Final = "workflows.workflows[video].limits.quality_share"
ONE_JOB: Final = (
    "Scenario murakkab, fixed before anything was run on it: one video job of 16 scenes on two servers with eight A100 GPUs and on 200 "
    "cores; as written all goes one after the other and holds both servers, ours holds what its plan needs. The job comes at the "
    "beginning, its instances are warm. Cluster, GPUs by stage and the table are from memory, the number of scenes is proposed. "
)
FITTED: Final = (
    "Fitted to the paper's rows of 283 s and 155 Wh, 83 s and 34 Wh, and 77 s: nine times of stages, how much a batch slows each item, "
    "watts of a GPU at rest and of the large model at work. Agreement with these rows proves that they add up, not that they are right. "
)
PREDICTED: Final = "Nothing was fitted to this row. "
MANY: Final = (
    "Scenario murakkab-tenants, fixed before anything was run on it: three workflows over a day, each at a quality that it must keep. As "
    "written each has the largest model on GPUs of its own for its busiest time, 60 percent full; ours takes the cheapest model of that "
    "quality and sizes it anew each hour, 82 percent full. GPU seconds of a request, watts and both shares were chosen so that the "
    "paper's ratios come out without sharing; that two workflows share one model's instances came on top. "
)
SLOWER: Final = (
    "The smaller models answer later than the largest, and no limit on time was asked for: the paper's objectives also bound latency. "
)


DRAWN: Final = (
    "Requests go to the instance with the fewest, so that as written nearly every instance has some at any time, and an instance at work "
    "draws the same for one as for eight: its energy is more than in the closed form that the watts were chosen with. "
)


def _policy(name: str, **knobs: Any) -> dict[str, Any]:
    return {"name": name, "levers": {"workflow_plan": [{"system": "murakkab", "knobs": knobs}]}}


MURAKKAB: Final = _policy("Murakkab")
AS_WRITTEN: Final[Mapping[str, Any]] = {"name": "One step at a time", "levers": {"workflow_plan": [{"system": "sequential"}]}}
# The paper's table by configuration: (policy, seconds, watt-hours). The hybrid of both is no plan here: a stage has one executor.
ROWS: Final[Mapping[str, tuple[Mapping[str, Any], float, float]]] = {
    "written": (AS_WRITTEN, 283.0, 155.0),
    "speech-on-cores": (_policy("Speech on 64 cores", plan=("video.transcript=whisper@cpu4*16/1",)), 83.0, 34.0),
    "speech-on-gpus": (_policy("Speech on four GPUs", plan=("video.transcript=whisper@a100x1*4/1",)), 77.0, 43.0),
}
SCENES: Final = over("scenes", 16, ITEMS, (4, 8, 16, 32))


def _against(read: Callable[..., float | None], *sweeps: Sweep) -> Search:
    contenders = {WRITTEN: Contender(AS_WRITTEN), OURS: Contender(MURAKKAB)}
    return Search(Measured(read), contenders, OURS, (WRITTEN,), "ratio", sweeps=sweeps)


def _value(policy: Mapping[str, Any], read: Callable[..., float | None], **vary: Any) -> Search:
    return Search(Measured(read), {OURS: Contender(policy)}, OURS, form="value", vary=vary)


def _claim(claim_id: str, text: str, paper: float, found: Search, **more: Any) -> Claim:
    given: Mapping[str, Any] = {
        "metric": "workflows.makespan_p50_s",
        "unit": "x",
        "source": "murakkab: abstract",
        "tolerance": 0.05,
        "fitted_parameters": 12,
        "setup": ONE_JOB + FITTED,
        "scenario": SCENARIO,
        "no_effect": 1.0,
        **more,
    }
    return Claim(id=claim_id, text=text, paper=paper, evidence=found, **given)


def _row(name: str, what: str, policy: Mapping[str, Any], paper: float, predicted: bool) -> Claim:
    seconds = what == "time"
    return _claim(
        f"{name}-{what}",
        f"table by configuration, {name.replace('-', ' ')}: {paper:g} {'s' if seconds else 'Wh'}",
        paper,
        _value(policy, evidence.makespan_s if seconds else evidence.energy_wh),
        metric="workflows.makespan_p50_s" if seconds else "workflows.energy_j_per_job",
        unit="s" if seconds else "Wh",
        source="murakkab: table by configuration, from memory",
        no_effect=None,
        better="lower",
        fitted_parameters=0 if predicted else 12,
        setup=ONE_JOB + (PREDICTED if predicted else FITTED),
    )


def _chosen(constraint: str, words: str, paper: float) -> Claim:
    return _claim(
        f"speech-for-{constraint.lower().replace('_', '-')}",
        f"speech to text on {words}",
        paper,
        _value(MURAKKAB, evidence.speech_on_cores, **{CONSTRAINT: constraint}),
        unit="share of scenes on cores",
        source="murakkab: choice of speech-to-text, from memory",
        no_effect=None,
        tolerance=0.0,
        setup=ONE_JOB + "The objective is set, the planner chooses. " + FITTED,
    )


def _tenants(claim_id: str, text: str, paper: float, read: Callable[..., float | None], metric: str, explained: str = "") -> Claim:
    return _claim(
        claim_id,
        text,
        paper,
        _against(read),
        metric=metric,
        source="murakkab-2: abstract",
        tolerance=0.1,
        fitted_parameters=13,
        setup=MANY,
        scenario=TENANTS,
        explained=explained + SLOWER,
    )


CLAIMS: Final = (
    _claim("faster", "up to about 3.4x faster workflow completion", 3.4, _against(evidence.speed, SCENES)),
    _claim(
        "energy",
        "about 4.5x higher energy efficiency",
        4.5,
        _against(evidence.frugality, SCENES),
        metric="workflows.energy_j_per_job",
    ),
    *(
        _row(name, what, policy, paper, predicted=(name, what) == ("speech-on-gpus", "energy"))
        for name, (policy, seconds, watt_hours) in ROWS.items()
        for what, paper in (("time", seconds), ("energy", watt_hours))
    ),
    _chosen("MIN_COST", "cores where cost counts", 1.0),
    _chosen("MIN_ENERGY", "cores where energy counts", 1.0),
    _chosen("MIN_LATENCY", "GPUs where time counts", 0.0),
    _tenants("gpu-usage", "reduces GPU usage by up to 2.8x", 2.8, evidence.gpu_sparing, "workflows.cost_usd_per_job"),
    _tenants("tenants-energy", "energy consumption by 3.7x", 3.7, evidence.energy_sparing, "workflows.energy_j_per_job", DRAWN),
    _tenants("tenants-cost", "and cost by 4.3x while maintaining SLOs", 4.3, evidence.cost_sparing, "workflows.cost_usd_per_job"),
)
