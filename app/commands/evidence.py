"""Commands that take evidence away: reproduce, bench, report."""

import runpy
import sys
from argparse import Namespace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.commands.terminal import Answer, home, progress_bar, table

if TYPE_CHECKING:
    from app.published import Row

NOT_REPRODUCED = 4
# Numbers of a claim that was computed, as lines; some have over a hundred.
_SHOWN = 24


def reproduce(arguments: Namespace) -> Answer:
    """Hold our numbers against the published ones: exit 4 when one is not reproduced."""
    from app.published import paper, quantity
    from app.published import rows as published
    from policies.drilled import Harness
    from policies.reproduce import reproduce as check

    told = progress_bar()
    drills = Harness(workers=arguments.workers, progress=told)
    rows = check(home(), arguments.system, workers=arguments.workers, progress=told, scored_incidents=drills)
    found = [row for row in published(rows) if row.verdict]
    lines = []
    for row in found:
        numbers = (paper(row.claim), quantity(row.ours, row.claim.unit))
        lines.append((row.system_id, row.claim.id, *numbers, row.verdict, row.claim.fitted_parameters, row.why))
    heads = ("system", "claim", "paper", "ours", "verdict", "fitted", "why")
    code = NOT_REPRODUCED if any(row["verdict"] == "not reproduced" for row in rows) else 0
    said = table(lines, heads, right=(2, 3, 5)) or ["this system makes no claim"]
    return Answer(rows, [*said, *(line for row in found for line in _sensitivity(row))], code)


def _sensitivity(row: "Row") -> list[str]:
    """Return the sweeps of a claim that was searched: ours over each value, and what each contender reached; else its numbers."""
    from app.published import computed, own_step, quantity, reached, sweeps
    from policies.claim import Scored

    found, own = sweeps(row), own_step(row)
    if own is None:
        return []
    if numbers := computed(row):
        more = [f"… and {len(numbers) - _SHOWN} more with --json"] if len(numbers) > _SHOWN else []
        how = "of simulated incidents" if isinstance(row.claim.evidence, Scored) else "computed, no run"
        return ["", f"{row.system_id} {row.claim.id}: {how}", *table(numbers[:_SHOWN], ("number", "value"), right=(1,)), *more]
    said = ["", f"{row.system_id} {row.claim.id}: {row.probes:,} runs, of {row.probes_limit:,} at most"]
    if not found:
        said += table([(label, reached(row, value)) for label, value in own.labels.items()], ("policy", "reached"), right=(1,))
    for name, steps in found.items():
        lines = [
            (
                f"{step.x}{' (the claim)' if step.own else ''}",
                quantity(step.ours, row.claim.unit),
                f"{quantity(step.low, row.claim.unit)} to {quantity(step.high, row.claim.unit)}",
                *(reached(row, value) for value in step.labels.values()),
            )
            for step in steps
        ]
        said += table(lines, (name, "ours", "over seeds", *steps[0].labels), right=range(1, 3 + len(steps[0].labels)))
    return said


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
        if measure is not None:
            wider = {"full": True} if arguments.full and "full" in signature(measure).parameters else {}
            found += [dict(row) for row in measure(**wider)]
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
