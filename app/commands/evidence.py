"""Commands that take evidence away: reproduce, bench, report."""

import runpy
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from app.commands.terminal import Answer, home, progress_bar, table

NOT_REPRODUCED = 4


def reproduce(arguments: Namespace) -> Answer:
    """Hold our numbers against the published ones: exit 4 when one is not reproduced."""
    from app.published import quantity
    from policies.reproduce import reproduce as check

    rows = check(home(), arguments.system, progress=progress_bar())
    lines = []
    for row in rows:
        numbers = (quantity(row["paper"], row["unit"]), quantity(row["ours"], row["unit"]))
        lines.append((row["system"], row["claim"], *numbers, row["verdict"], row["fitted_parameters"], row["why"]))
    heads = ("system", "claim", "paper", "ours", "verdict", "fitted", "why")
    code = NOT_REPRODUCED if any(row["verdict"] == "not reproduced" for row in rows) else 0
    return Answer(rows, table(lines, heads, right=(2, 3, 5)) or ["this system makes no claim"], code)


def bench(arguments: Namespace) -> Answer:
    """Run the benchmarks of a checkout: each file of tests/benchmarks offers ``measure()``."""
    folder = Path(__file__).resolve().parent.parent.parent / "tests" / "benchmarks"
    files = {path.stem: path for path in sorted(folder.glob("*.py"))} if folder.is_dir() else {}
    if not files:
        raise ValueError("benchmarks are part of a checkout and are not installed with the package; run this in a clone of the project")
    if arguments.domain not in {None, *files}:
        raise ValueError(f"no benchmark measures {arguments.domain!r}; there are: {', '.join(files)}")
    sys.path.insert(0, str(folder.parent.parent))
    found: list[dict[str, Any]] = []
    for path in files.values() if arguments.domain is None else [files[arguments.domain]]:
        measure = runpy.run_path(str(path)).get("measure")
        found += [dict(row) for row in measure()] if measure is not None else []
    rows = [
        (
            row["domain"],
            row["name"],
            f"{row['value']:.4g} {row['unit']}",
            _bound(row),
            "" if row["target"] is None else "meets" if row["meets"] else "misses",
        )
        for row in found
    ]
    return Answer(found, table(rows, ("domain", "figure", "measured", "target", ""), right=(2, 3)))


def _bound(row: dict[str, Any]) -> str:
    """Return a figure's target in words; a figure that is only watched has none."""
    if row["target"] is None:
        return "–"
    return f"{'>=' if row['better'] == 'higher' else '<='} {row['target']:.4g} {row['unit']}"


def report(arguments: Namespace) -> Answer:
    """Write a run, or an intent with its evidence, as one file."""
    from app.report.render import FORMATS
    from app.report.render import report as build

    target = Path(arguments.output)
    fmt = target.suffix.removeprefix(".").lower()
    if fmt not in FORMATS:
        raise ValueError(f"-o {target}: {target.suffix or 'a file without an ending'} is not written yet; end it in {_among(FORMATS)}")
    if not target.parent.is_dir():
        raise ValueError(f"-o {target}: the folder {target.parent} is not there; make it first")
    content = build(home(), arguments.study, fmt, notes=arguments.notes)
    aside = target.with_name(f".{target.name}.tmp")
    aside.write_bytes(content)
    aside.replace(target)
    return Answer({"file": str(target), "bytes": len(content)}, [f"{target}: {len(content):,} bytes"])


def _among(formats: Any) -> str:
    names = [f".{name}" for name in formats]
    return ", ".join(names[:-1]) + f" or {names[-1]}"
