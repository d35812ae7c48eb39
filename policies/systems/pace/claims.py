"""What is told of PACE's paper, and how ours is computed."""

from typing import Any, Final

from policies.claim import Claim, Scored
from policies.systems.pace import evidence

SETUP: Final = (
    "Incidents are those of 720 drills on another site than the 300 that scores, weight and map are fitted on, all of which were "
    "resolved before the first incident judged here began and on none of which the investigator was tuned; at least 500 predictions "
    "are judged. One incident a drill, asked 0 to 20 minutes after it was opened; the history has 3,000 incidents of other sites and has "
    "never seen five of the classes of cause. A prediction is right where the first cause is that of the injected fault and, of our "
    "investigator, the place is too. Both errors are taken in ten bins of equal width; the score that is beaten is the predictor's "
    "own, never a constant. Brier score and AUROC stand beside, since an error of calibration alone can be had by naming the same "
    "number always. The judge is the embedded one: no language model, and none of the paper's prompts, which are not published. "
    "The first 232 of the judged drills were tried before under another set-up (asked 20 minutes after, answers known a day later): "
    "nothing was wrong there, so that the moment is drawn now, answers are known sooner, and predictions without both scores are left "
    "out. Nothing else was tuned; the number is known from a summary by others. "
)
_SAME: Final[dict[str, Any]] = {
    "metric": "incidents.confidence_ece_share",
    "paper": 0.31,
    "unit": "x",
    "no_effect": 1.0,
    "better": "lower",
    "source": "pace: from a summary by others",
    "tolerance": 0.35,
    "fitted_parameters": 0,
    "scenario": "drill-b",
    "seeds": (1,),
}

CLAIMS: Final = (
    Claim(
        id="ece",
        text="lowers the calibration error of an investigator's own score to about a third",
        evidence=Scored(evidence.first, evidence.OWN),
        setup=SETUP + "The predictor is our investigator.",
        **_SAME,
    ),
    Claim(
        id="ece-plain",
        text="and that of another predictor, which it has never seen inside",
        evidence=Scored(evidence.plain, evidence.OWN),
        setup=SETUP + "The predictor names the cause of most of the ten nearest resolved incidents; the paper gives no number for another.",
        **_SAME,
    ),
)
