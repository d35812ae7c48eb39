"""What the paper says of prices, and how ours is computed."""

from typing import Final

from policies.claim import Claim, Computed
from policies.systems.workload_intelligence import evidence

TABLE: Final = (
    "The twelve classes of data/calibration/negotiation.toml, whose shares are solved so that the survey's five published shares hold; "
    "discounts partly published, partly from memory, partly proposed. The share of a workload's VMs that a partial hint covers, 0.4075, "
    "is fitted to the paper's average, so that agreement here proves arithmetic alone. "
)

CLAIMS: Final = (
    Claim(
        id="closed-form",
        text="reduce prices to its customers on average by 48.8 %",
        metric="workloads.price_cut_share",
        paper=0.488,
        unit="share",
        source="workload-intelligence: abstract",
        tolerance=0.01,
        fitted_parameters=1,
        setup=TABLE + "No run: class by class, all optimisations in closed form.",
        scenario="octopus",
        evidence=Computed(evidence.closed_form, evidence.AVERAGE),
    ),
)
