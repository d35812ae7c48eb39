"""What is told of the ReAct paper, and how ours is computed."""

from typing import Final

from policies.claim import Claim, Scored
from policies.systems.react_rca import evidence

_SOURCE: Final = "react-rca: from summaries by others"
_SETUP: Final = (
    "Incidents are drawn from a scenario that was not tuned on; their faults and sites are such as the history has never seen. Every "
    "holder has the same tools, the same moment and the same verifier. Tools are those that the paper's abstract and reviews name; its "
    "prompts are not published, ours are our own. Nothing was tuned to these numbers. "
)
_EMBEDDED: Final = "what is measured is the embedded investigator, in which no language model could invent anything"

CLAIMS: Final = (
    Claim(
        id="unsupported",
        text="about one claim in twenty is not borne out by what was looked up",
        metric="incidents.rca_top1_share",
        paper=0.04,
        paper_high=0.06,
        unit="share of claims",
        source=_SOURCE,
        tolerance=0.5,
        fitted_parameters=0,
        setup=_SETUP + "Claims are counted before the verifier drops any.",
        scenario="drill-b",
        evidence=Scored(evidence.unsupported, evidence.OURS),
        better="lower",
        no_effect=None,
        comparable=_EMBEDDED,
    ),
    Claim(
        id="competitive",
        text="names the cause about as often as the best baseline by retrieval or thought",
        metric="incidents.rca_top1_share",
        paper=1.0,
        unit="x",
        source=_SOURCE,
        tolerance=0.1,
        fitted_parameters=0,
        setup=_SETUP + "The paper says 'competitive', which is read as the same share, give or take a tenth.",
        scenario="drill-b",
        evidence=Scored(evidence.right_over_best, evidence.OURS),
        no_effect=0.0,
        explained="the embedded investigator reads this incident's telemetry, which the baselines do not look at",
    ),
)
