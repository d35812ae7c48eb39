"""Commands that read and write files of others: import, export."""

import io
import re
import shutil
import tempfile
import zipfile
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from app.commands.policies import policy_of, site_of
from app.commands.terminal import Answer, home, now

_EPOCH = (1980, 1, 1, 0, 0, 0)
_OPTIONS = ("gpu", "engine", "model", "tp", "precision", "timezone", "replace", "models", "durations")
# What a scenario says to draw on an import of a kind.
_USES = {
    "fleet": 'fleet = "import:{name}"',
    "weather": 'plant.weather.climate = "import:{name}"',
    "grid-carbon": 'plant.cooling.carbon_kg_per_kwh = "import:{name}"',
    "device-prices": 'memory.prices = "import:{name}"',
    "vm-trace": 'workloads.host_trace = {{ name = "{name}", workloads = ["web"] }}',
    "function-trace": 'trace = "import:{name}"  (of a function; its id says whose calls, or of all)',
    "executors": 'workflows.library = "import:{name}"',
    "workload-classes": 'workloads.negotiation.classes = "import:{name}"',
    "hints-log": 'workloads.negotiation.messages = "import:{name}"',
    "llm-trace": 'demand = {{ kind = "trace", name = "{name}" }}  (of an endpoint)',
    "latency-profile": 'latency = "imported:{name}"  (of an endpoint)',
    "telemetry": 'plant.telemetry = "{name}" (fitted to it), plant.replay = "{name}" or plant.start_from = {{ telemetry = "{name}" }}',
}
# And what commands do with it.
_ASKED = {
    "telemetry": "an incident in it: intentwin investigate --import {name} --entity E --metric M --onset T",
    "incidents": "investigations search them from now on: each sees what was over before its incident began",
    "predictions": "how sure one may be of each: intentwin investigate --predictions {name}",
}
_ROWS = {
    "device-prices": "prices",
    "fleet": "machines",
    "weather": "hours",
    "grid-carbon": "hours",
    "vm-trace": "VMs",
    "workload-classes": "classes",
    "executors": "executors",
    "hints-log": "hints and answers",
    "incidents": "resolved incidents",
    "predictions": "predictions",
}


def import_(arguments: Namespace) -> Answer:
    """Bring a file in under a name; what is malformed is one line with row and column."""
    from twin.store.importers import import_file

    path = Path(arguments.file)
    name = arguments.name or re.sub(r"[^a-z0-9-]+", "-", path.stem.lower()).strip("-")[:40]
    options = {key: value for key in _OPTIONS if (value := getattr(arguments, key)) is not None}
    report = import_file(arguments.kind, path, name, home(), options)
    over = f" over {report.span_s / 3600.0:.1f} h" if report.span_s else ""
    left_out = f", {report.dropped:,} left out" if report.dropped else ""
    use = [f"in a scenario: {line}" for line in (_USES.get(report.kind, "").format(name=report.name),) if line]
    use += [line for line in (_ASKED.get(report.kind, "").format(name=report.name),) if line]
    ahead = [f"the last reading is later than now ({now():%Y-%m-%d %H:%M} UTC); check clock and --timezone"]
    notes = [*report.notes, *(ahead if report.last and report.last > now() else [])]
    lines = [f"{report.kind} {report.name}: {report.rows:,} {_ROWS.get(report.kind, 'rows')}{over}{left_out}", *notes, *use]
    return Answer({**asdict(report), "notes": notes, "use": _USES.get(report.kind, "").format(name=report.name)}, lines)


def export(arguments: Namespace) -> Answer:
    """Write what each real system would take, to a new folder or a zip."""
    from app.export import files
    from policies.catalogue import check
    from twin.scenario import load

    target = Path(arguments.output)
    policy = policy_of(arguments.policy, home())
    scenario = load(arguments.scenario or site_of(arguments.policy, home()))
    check(policy, scenario.entities())
    if target.exists():
        raise ValueError(f"-o {target}: is there already; name a new folder or file")
    if not target.absolute().parent.is_dir():
        raise ValueError(f"-o {target}: the folder {target.absolute().parent} is not there; make it first")
    found = files(policy, scenario)
    if target.suffix == ".zip":
        target.write_bytes(_zip(found))
    else:
        _folder(found, target)
    return Answer({"path": str(target), "files": sorted(found)}, [f"{target}: {', '.join(sorted(found))}"])


def _folder(found: Mapping[str, bytes], target: Path) -> None:
    aside = Path(tempfile.mkdtemp(prefix=".export-", dir=target.absolute().parent))
    try:
        for name, content in found.items():
            (aside / name).write_bytes(content)
            if name.endswith(".sh"):
                (aside / name).chmod(0o755)
        aside.chmod(0o755)
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _zip(found: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(found):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.external_attr = (0o755 if name.endswith(".sh") else 0o644) << 16
            archive.writestr(info, found[name], zipfile.ZIP_DEFLATED, 6)
    return buffer.getvalue()
