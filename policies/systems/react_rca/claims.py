"""What is told of the ReAct paper, and how ours is computed."""

from typing import Final

from policies.claim import Claim, Scored
from policies.systems.react_rca import evidence

_SOURCE: Final = "react-rca: from summaries by others"
_SETUP: Final = (
    "Incidents are those of 720 drills on a scenario that was not tuned on, one incident a drill, asked 0 to 20 minutes after. "
    "The history has 3,000 incidents, none of this site, and none of five classes of cause that are drawn beforehand (seed 1: air handler "
    "lost, certificate expired, GPUs throttle, network card slow, CXL link lost). Every holder has the same tools, the same moment and "
    "the same verifier. Tools are those that the paper's abstract and reviews name; its prompts are not published, ours are our own. "
    "Where nothing can be proven and nothing rang a user complains. The first 232 of the drills were tried before, asked 20 minutes after; "
    "the moment is drawn since, and no rule or threshold of any holder was changed by it. "
)
_EMBEDDED: Final = "what is measured is the embedded investigator, in which no language model could invent anything"

CLAIMS: Final = (
    Claim(
        id="unsupported",
        text="about one claim in twenty is not borne out by what was looked up",
        metric="",
        paper=0.04,
        paper_high=0.06,
        unit="share of claims",
        source=_SOURCE,
        tolerance=0.5,
        fitted_parameters=0,
        setup=_SETUP + "Claims are counted before the verifier drops any.",
        scenario="drill-b",
        seeds=(1,),
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
        setup=_SETUP
        + "The paper says 'competitive', which is read as the same share, give or take a tenth. Of holders that look for the place (ours "
        "and the loudest metric) the place must be right too, of the others the class of cause alone; what a baseline said counts, whether "
        "or not the verifier kept it. An incident of a fault that data cannot prove counts against everybody alike.",
        scenario="drill-b",
        seeds=(1,),
        evidence=Scored(evidence.right_over_best, evidence.OURS),
        no_effect=0.0,
        explained="it reads this incident's telemetry; of the baselines only the loudest metric does, and nothing else",
    ),
    Claim(
        id="discussions",
        text="gains nothing that counts from reading what was discussed about resolved incidents",
        metric="",
        paper=0.0,
        unit="share of right causes, more",
        source=_SOURCE,
        tolerance=0.0,
        fitted_parameters=0,
        setup=_SETUP + "A language model is given what was checked and said (knob discussions); the paper prints no number of the gain.",
        scenario="drill-b",
        seeds=(1,),
        evidence=Scored(evidence.discussed, evidence.GAIN),
        no_effect=None,
        comparable="the embedded investigator reads no discussions; with a language model, set its driver and its knob discussions",
    ),
)
