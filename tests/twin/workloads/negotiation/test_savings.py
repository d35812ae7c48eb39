"""What each optimisation takes off a price."""

import numpy as np
import pytest

from twin.workloads.negotiation.savings import saved_shares
from twin.workloads.negotiation.treatments import (
    AUTOSCALED,
    HARVEST,
    INDEX,
    MA,
    OVERCLOCKED,
    RIGHTSIZED,
    TREATMENTS,
    clashes,
    discounts,
    price_share,
)


def test_treatments_take_their_share_off_what_those_before_them_left() -> None:
    # Facts sheet 1.4: multi-availability takes 40 % off, then rightsizing half of the 60 % left, auto-scaling 30 % of 30 %.
    saved = saved_shares(np.array([MA | RIGHTSIZED | AUTOSCALED | OVERCLOCKED]), discounts())[:, 0]
    by_name = {name: saved[index] for name, index in INDEX.items()}
    assert by_name["multi_availability"] == pytest.approx(0.40)
    assert by_name["rightsizing"] == pytest.approx(0.30)
    assert by_name["autoscaling"] == pytest.approx(0.09)
    assert by_name["overclocking"] == pytest.approx(0.021)


def test_a_harvest_vm_saves_what_is_published_of_it() -> None:
    assert saved_shares(np.array([HARVEST]), discounts())[0, 0] == 0.91


def test_savings_and_price_add_up_to_the_regular_price_for_every_combination() -> None:
    grants = np.arange(1 << len(TREATMENTS))
    grants = grants[~clashes(grants)]
    np.testing.assert_allclose(saved_shares(grants, discounts()).sum(axis=0) + price_share(grants, discounts()), 1.0, rtol=1e-14)
