"""What the paper says of prices, and how ours is computed."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from policies.claim import Claim, Computed, Contender, Measured, Search, Sweep, over
from policies.systems.workload_intelligence import evidence

NEGOTIATION: Final = "workloads.negotiation"
SCENARIO: Final = "workload-intelligence"
POLICY: Final = {"name": "Workload Intelligence", "levers": {"offers": [{"system": "workload_intelligence"}]}}
TABLE: Final = (
    "Twelve classes of workloads, whose shares are solved so that the survey's five published shares hold (the paper's own table is not "
    "published); discounts partly published, partly from memory, partly proposed. The share of a workload's VMs that a partial hint "
    "covers, 0.4075, is fitted to the paper's average: agreement proves that rules and bills add up, not that the number is right. "
)
RUN: Final = (
    "Scenario workload-intelligence: one workload of each class with the same part of the vCPUs of 384 hosts for a day, loads such that "
    "half of the VMs peak below half of their cores; surplus without end, as in the closed form. Hourly bills of every VM under the "
    "treatments that it had, averaged over classes by their shares; an hour with a broken requirement is billed in full. "
)
SHARES: Final = (
    "Summed over the twelve classes of data/calibration/negotiation.toml. Their shares were solved for these five numbers: this is an "
    "input that is checked, and no finding. "
)
EVICTING: Final = (
    "Here half of all cores are in reserve on average, so that VMs are evicted. Of all notices of the day, those whose event came sooner "
    "after they had reached the VM than their kind promises. "
)
CARBON: Final = (
    "The paper speaks of carbon without a number that we could read, so that this is a finding of our own. Watts of a busy vCPU, 8, and of "
    "an idle one, half of it, are proposed; less is drawn by smaller VMs, by fewer of them and at lower clocks, and elsewhere where VMs "
    "have moved. What harvest VMs do beyond their size is left out on both sides. "
)
LISTED: Final = (
    "The paper says that the offering can be simplified, without a number that we could read. A provider that cannot be told what a VM "
    "needs lists every size with every combination of treatments that VMs of the run had; one that can lists sizes alone. "
)
LESS: Final = (
    "A VM whose load comes near half of its cores has all of them for that time, at their price, so that no work is late; the closed "
    "form halves it all day. VM by VM a hint opens several optimisations at once, where the closed form multiplies averages."
)
# The shares of workloads that the survey publishes, and what each is called there.
SURVEYED: Final[Mapping[str, tuple[float, str]]] = {
    "stateless": (0.629, "62.9 % of workloads are partly stateless at least"),
    "availability": (0.628, "62.8 % need three nines of availability or less"),
    "preemption": (0.606, "60.6 % are partly preemptible at least"),
    "delay": (0.25, "around a quarter tolerate delay"),
    "region": (0.614, "61.4 % can run in another region, partly at least"),
}
SHORT: Final = "50 % in reserve"
SURPLUS: Final = Sweep(
    "surplus",
    "unlimited",
    {
        "unlimited": {f"{NEGOTIATION}.surplus": "unlimited"},
        "20 % in reserve": {f"{NEGOTIATION}.surplus": "finite"},
        SHORT: {f"{NEGOTIATION}.surplus": "finite", f"{NEGOTIATION}.reserve.mean_share": 0.5},
    },
)


def _run(read: Callable[..., float | None], *sweeps: Sweep, vary: Mapping[str, Any] | None = None) -> Search:
    contenders = {"workload intelligence": Contender(POLICY)}
    return Search(Measured(read), contenders, "workload intelligence", form="value", sweeps=sweeps, vary=vary or {})


def _claim(claim_id: str, text: str, paper: float, found: Search | Computed, **more: Any) -> Claim:
    given: Mapping[str, Any] = {
        "metric": "workloads.price_cut_share",
        "unit": "share",
        "source": "workload-intelligence: abstract",
        "tolerance": 0.02,
        "fitted_parameters": 1,
        "setup": TABLE + RUN,
        "scenario": SCENARIO,
        **more,
    }
    return Claim(id=claim_id, text=text, paper=paper, evidence=found, **given)


CLAIMS: Final = (
    _claim(
        "price-cut",
        "reduces prices to its customers on average by 48.8 %",
        0.488,
        _run(evidence.price_cut, SURPLUS, over("partial hints cover", 0.4075, f"{NEGOTIATION}.partial_share", (0.2, 0.4075, 0.8))),
        explained=LESS,
    ),
    _claim(
        "price-cut-closed-form",
        "the same in closed form, without a run",
        0.488,
        Computed(evidence.closed_form, evidence.AVERAGE),
        tolerance=0.001,
        setup=TABLE + "Class by class, all optimisations at once.",
    ),
    _claim(
        "no-requirement-broken",
        "reduces its costs without fear of violating any workload requirements",
        0.0,
        _run(evidence.broken_vm_hours, SURPLUS),
        metric="workloads.broken_requirements",
        unit="VM-hours",
        no_effect=None,
        better="lower",
        tolerance=0.0,
        fitted_parameters=0,
        setup=RUN + "Availability, how many are evicted at once, lead times of notices, residency and lateness, hour by hour.",
    ),
    _claim(
        "notices-in-time",
        "every notice comes at least its lead time before its event",
        0.0,
        _run(evidence.late_notices, vary=SURPLUS.settings[SHORT]),
        metric="workloads.notices_honoured_share",
        unit="late notices",
        source="intentwin: what a notice promises",
        no_effect=None,
        better="lower",
        tolerance=0.0,
        fitted_parameters=0,
        setup=RUN + EVICTING,
    ),
    _claim(
        "carbon-cut",
        "the same work emits 5.7 % less",
        0.057,
        _run(evidence.carbon_cut),
        metric="workloads.price_cut_share",
        source="intentwin: the same scenario, seeds 1 to 3",
        tolerance=0.1,
        fitted_parameters=0,
        setup=RUN + CARBON,
    ),
    _claim(
        "price-list",
        "one list of plain VM types replaces 23 decorations of each",
        23.0,
        _run(evidence.price_list),
        metric="workloads.price_cut_share",
        unit="x",
        source="intentwin: the same scenario, seeds 1 to 3",
        no_effect=1.0,
        tolerance=0.1,
        fitted_parameters=0,
        setup=RUN + LISTED,
    ),
    *(
        _claim(
            f"survey-{name}",
            text,
            share,
            Computed(evidence.survey, name),
            source="workload-intelligence: survey of 188 workloads",
            unit="share of workloads",
            tolerance=0.001,
            no_effect=None,
            fitted_parameters=5,
            setup=SHARES,
        )
        for name, (share, text) in SURVEYED.items()
    ),
)
