"""The runtimes that are packaged, as their calibration has them."""

from typing import Any

from twin.functions.levers import Hop, Runtime
from twin.sources import calibration


def named(name: str, *, cached: bool = True) -> Runtime:
    """Return a packaged runtime (``containerd``, ``junctiond``); ``cached``: whether metadata look-ups are kept by the provider.

    ValueError, one line, for one that is not there. Source: ``data/calibration/functions.toml``, entry by entry.
    """
    known = calibration("functions")
    if name not in known["runtime"]:
        raise ValueError(f"no runtime is called {name!r}; there are: {', '.join(known['runtime'])}")

    def value(key: str) -> Any:
        return known["runtime"][name][key]["value"]

    path = known["path"]
    return Runtime(
        name=name,
        hop=Hop(*(float(value(key)) for key in ("stack_median_s", "stack_cv", "spike_share", "spike_mean_s", "cpu_s"))),
        cached=cached,
        lookups=int(path["lookups"]["value"]),
        lookup_s=float(path["lookup_s"]["value"]),
        cold_median_s=float(value("cold_median_s")),
        cold_p99_s=float(value("cold_p99_s")),
        polling_cores=float(value("polling_cores")),
        polling_cores_each=float(value("polling_cores_each")),
        instance_bytes=int(value("instance_bytes")),
    )
