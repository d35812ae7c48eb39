"""Commands that take evidence away: reproduce, bench, report."""

import runpy
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from app.commands.terminal import Answer, home, table

NOT_REPRODUCED = 4


def bench(arguments: Namespace) -> Answer:
    """Run the benchmarks of a checkout: each file of tests/benchmarks offers ``measure()``."""
    folder = Path(__file__).resolve().parent.parent.parent / "tests" / "benchmarks"
    files = sorted(folder.glob("*.py")) if folder.is_dir() else []
    if not files:
        raise ValueError("benchmarks are part of a checkout and are not installed with the package; run this in a clone of the project")
    sys.path.insert(0, str(folder.parent.parent))
    found: list[dict[str, Any]] = []
    for path in files:
        measure = runpy.run_path(str(path)).get("measure")
        if measure is not None:
            found += [dict(row) for row in measure() if arguments.domain in {None, row["domain"]}]
    if not found:
        raise ValueError(f"no benchmark measures {arguments.domain!r}; leave the domain out to run all")
    rows = [
        (
            row["domain"],
            row["name"],
            f"{row['value']:.4g} {row['unit']}",
            f"{_bound(row)} {row['unit']}",
            "meets" if row["meets"] else "misses",
        )
        for row in found
    ]
    return Answer(found, table(rows, ("domain", "figure", "measured", "target", ""), right=(2, 3)))


def _bound(row: dict[str, Any]) -> str:
    return f"{'>=' if row['better'] == 'higher' else '<='} {row['target']:.4g}"


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
