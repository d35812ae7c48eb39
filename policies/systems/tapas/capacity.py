"""How many servers stand above the budgets that rows were built for."""

from math import ceil

import numpy as np

from twin.plant.levers import CapacityAction, CapacityObservation


def extra_servers(seen: CapacityObservation, share: float, asked_share: float = 0.0) -> CapacityAction:
    """Return a share of the servers of the rows that have any, rounded so that the total is right (largest remainder first).

    Where more is asked the total is no less than that: a bound that is missed by half a server is missed.

    >>> from twin.plant.levers import CapacityObservation
    >>> import numpy as np
    >>> rows = CapacityObservation(("a", "b", "c"), np.array([4, 3, 0]), np.ones(3), np.ones(3))
    >>> extra_servers(rows, 0.4).extra_servers.tolist()
    [2, 1, 0]
    >>> extra_servers(rows, 0.0, 0.3).extra_servers.tolist()
    [2, 1, 0]
    """
    servers = np.asarray(seen.row_servers, dtype=np.int64)
    exact = max(share, asked_share) * servers
    extra = np.floor(exact + 1e-9).astype(np.int64)
    total = max(round(share * int(servers.sum())), ceil(asked_share * int(servers.sum()) - 1e-9))
    missing = total - int(extra.sum())
    order = np.argsort(-(exact - extra), kind="stable")
    able = order[servers[order] > extra[order]]
    extra[able[: max(missing, 0)]] += 1
    return CapacityAction(extra)
