"""All drills: what the investigator and its confidence must reach on a scenario on which nothing was tuned."""

import pytest

from policies import drilled
from twin.sources import home_dir


@pytest.mark.timeout(7_200)
def test_causes_are_found_where_data_prove_them_nobody_is_accused_where_they_do_not_and_confidence_can_be_believed() -> None:
    home = home_dir()
    earlier = drilled.asked(drilled.EARLIER, "fit", drilled.EARLIER_DRILLS, home, workers=2)
    later = drilled.asked(drilled.LATER, "held-out", drilled.LATER_DRILLS, home, workers=2)
    found, sure = drilled.figures(later), drilled.confidence(earlier, later)
    assert found.top1 is not None
    assert found.top1 > 0.80, found.confused[:12]
    assert found.unprovable > 60
    assert found.accused is not None
    assert found.accused < 0.05
    assert sure is not None
    assert sure.judged >= 500
    assert sure.brier < sure.base_brier
    assert sure.auroc > 0.75
