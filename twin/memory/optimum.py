"""The bound that no allocator beats: the least largest device load."""

import numpy as np

from twin.memory.demand import Bools, Floats, Ints


def least_peak(reach: Ints, devices: int, demand: Ints | Floats, open_links: Bools | None = None) -> tuple[float, Floats]:
    """Return the smallest largest load of any device when hosts' demands are split at will, and loads (M) that attain it.

    ``demand`` (H) may be in any unit of memory; ``reach`` (H, R) are the devices of each host, ``open_links`` (H, R) those that
    work (all without it). Solved as a linear program by HiGHS. Raises ValueError where a host with demand reaches no device.
    """
    # Here because they take as long to import as all else.
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    standing = reach >= 0 if open_links is None else open_links & (reach >= 0)
    asking = np.flatnonzero(demand > 0)
    alone = asking[~standing[asking].any(axis=1)]
    if len(alone):
        raise ValueError(f"optimum: host {alone[0] + 1} asks for memory and reaches no device; leave it out or mend one of its links")
    if not len(asking):
        return 0.0, np.zeros(devices)
    row, place = np.nonzero(standing[asking])
    device, links = reach[asking][row, place], len(row)
    scale = float(np.max(demand))
    split = csr_array((np.ones(links), (row, np.arange(links))), shape=(len(asking), links + 1))
    loads = csr_array(
        (
            np.append(np.ones(links), -np.ones(devices)),
            (np.append(device, np.arange(devices)), np.append(np.arange(links), [links] * devices)),
        ),
        shape=(devices, links + 1),
    )
    cost = np.append(np.zeros(links), 1.0)
    found = linprog(cost, A_ub=loads, b_ub=np.zeros(devices), A_eq=split, b_eq=demand[asking] / scale, bounds=(0, None), method="highs")
    if found.status:
        raise ValueError(f"optimum: HiGHS found none: {found.message}")
    filled: Floats = np.bincount(device, weights=found.x[:-1] * scale, minlength=devices).astype(np.float64)
    return float(found.fun) * scale, filled
