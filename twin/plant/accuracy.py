"""How well telemetry is explained: errors per server on held-out hours."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.fleet import GPUS_PER_SERVER
from twin.plant import fitting

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Report:
    """How well telemetry is explained by inlet and GPU regressions on hours that were not fitted. Shapes S and G; NaN: no data.

    The regressions are those of TAPAS (arXiv:2501.02600): inlet piecewise linear in outside temperature and linear in load,
    GPU temperature linear in inlet and power. ``gpu_law_error_c`` is the error of the twin's own law, which knows the fans.
    """

    inlet_error_c: Floats
    gpu_error_c: Floats
    gpu_law_error_c: Floats
    server_ids: tuple[str, ...]
    samples: int
    step_s: float

    @property
    def inlet_mean_error_c(self) -> float:
        """Mean absolute error of inlets over all servers with data."""
        return float(fitting.nanmean(self.inlet_error_c[:, None])[0])

    @property
    def gpu_mean_error_c(self) -> float:
        """Mean absolute error of GPU temperatures over all GPUs with data."""
        return float(fitting.nanmean(self.gpu_error_c[:, None])[0])

    @property
    def gpu_law_mean_error_c(self) -> float:
        """Mean absolute error of the twin's own law of GPU temperature, fitted, over all GPUs with data."""
        return float(fitting.nanmean(self.gpu_law_error_c[:, None])[0])

    @property
    def servers_fitted(self) -> int:
        """Servers whose inlet was fitted."""
        return int(np.isfinite(self.inlet_error_c).sum())

    @property
    def gpus_fitted(self) -> int:
        """GPUs whose temperature was fitted."""
        return int(np.isfinite(self.gpu_error_c).sum())

    def by_server(self) -> list[tuple[str, float, float]]:
        """Return id, inlet error and mean GPU error of every server with data, worst first."""
        gpu = fitting.nanmean(self.gpu_error_c.reshape(-1, GPUS_PER_SERVER).T)
        worst = np.fmax(self.inlet_error_c, gpu)
        order = [int(s) for s in np.argsort(-np.nan_to_num(worst, nan=-1.0), kind="stable") if np.isfinite(worst[s])]
        return [(self.server_ids[s], float(self.inlet_error_c[s]), float(gpu[s])) for s in order]
