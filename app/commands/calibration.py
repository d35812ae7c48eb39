"""Command that fits a site's own coefficients to its telemetry: calibrate."""

from argparse import Namespace
from datetime import UTC, datetime

import numpy as np

from app.commands.terminal import Answer, table


def calibrate(arguments: Namespace) -> Answer:
    """Fit inlets and GPU temperatures per server; report the error on hours that were not fitted, worst server first."""
    from twin.clock import Clock
    from twin.fleet_file import named
    from twin.plant.calibrating import calibrate as fit
    from twin.plant.model import Settings

    fleet = named(arguments.fleet)
    fitted, report = fit(Settings(), fleet, Clock(datetime(2000, 1, 1, tzinfo=UTC)), arguments.telemetry)
    servers = report.by_server()
    # The law of sinks and fans says nothing of GPUs on cold plates.
    own = int(np.isfinite(fitted.gpu_offset_c).sum())
    on_plates = ", and what is on cold plates," if fleet.row_liquid.any() else ""
    low, slope, hot = fitted.supply_shift
    value = {
        "telemetry": arguments.telemetry,
        "fleet": arguments.fleet,
        "inlet_mean_error_c": _number(report.inlet_mean_error_c),
        "gpu_mean_error_c": _number(report.gpu_mean_error_c),
        "gpu_law_mean_error_c": _number(report.gpu_law_mean_error_c),
        "servers": len(fleet.server_ids),
        "servers_fitted": report.servers_fitted,
        "gpus": len(fleet.gpu_ids),
        "gpus_fitted": report.gpus_fitted,
        "gpus_own_coefficients": own,
        "samples": report.samples,
        "step_s": report.step_s,
        "supply_shift": {"low_c": low, "slope": slope, "slope_hot": hot},
        "by_server": [{"server_id": name, "inlet_error_c": _number(inlet), "gpu_error_c": _number(gpu)} for name, inlet, gpu in servers],
    }
    lines = [
        f"inlets: mean absolute error {_shown(report.inlet_mean_error_c)} on held-out hours, "
        f"{report.servers_fitted:,} of {len(fleet.server_ids):,} servers have enough data",
        f"GPUs: mean absolute error {_shown(report.gpu_mean_error_c)} on held-out hours, "
        f"{report.gpus_fitted:,} of {len(fleet.gpu_ids):,} GPUs have enough data",
        f"the twin's own law of GPU temperature, fitted: mean absolute error {_shown(report.gpu_law_mean_error_c)}",
        f"coefficients of their own: {own:,} GPUs; what has too little data{on_plates} keeps the defaults"
        if own < len(fleet.gpu_ids)
        else "every GPU has its own coefficients",
    ]
    if servers:
        lines.append(f"worst server: {servers[0][0]}")
        shown = [(name, _shown(inlet), _shown(gpu)) for name, inlet, gpu in servers[: arguments.servers]]
        lines += table(shown, ("server", "inlet", "GPUs"), right=(1, 2))
    lines.append(f'to use it, write in a scenario: [plant] telemetry = "{arguments.telemetry}"')
    return Answer(value, lines)


def _number(value: float) -> float | None:
    return value if value == value else None


def _shown(value: float) -> str:
    return f"{value:.2f} C" if value == value else "no data"
