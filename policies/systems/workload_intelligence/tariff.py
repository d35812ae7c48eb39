"""Clocks, sizes and discounts that offers are made of."""

from functools import cache
from typing import Final

import numpy as np

from policies.baselines.clocks import power_share
from twin.sources import calibration

# Sizes of harvest VMs change by so much of what was asked for; less would not be worth a notice.
SIZE_STEP: Final = 0.25
# What is left of a VM whose peak needs half of its cores at most.
RIGHT_SIZE: Final = 0.5


@cache
def number(section: str, name: str) -> float:
    """Return one number of ``data/calibration/negotiation.toml``."""
    return float(calibration("negotiation")[section][name]["value"])


def drawn_share(clock: str) -> float:
    """Return what a VM draws at the clock of this name, over what it draws at the rated one."""
    return float(power_share(np.array(number("clock", clock))))
