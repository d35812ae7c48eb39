"""The house keeps its own rules."""

import ast
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from twin.metrics import METRICS, SCOPE_KINDS
from twin.run import READINGS, TABLES
from twin.sources import STRENGTHS, sources, toml
from twin.units import suffix_of

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(path for package in ("app", "policies", "twin") for path in (ROOT / package).rglob("*.py"))
# Columns that count things, name things or say yes or no carry no unit.
UNITLESS_TYPES = {"String", "Boolean", "UInt8", "UInt16", "UInt32", "Int8", "Int16", "Int32", "Int64"}
COUNTED = "arrivals|finished|count|gpus|events|batch|queue|pue|value|instances|rows|images|hour|hours|cores|bound|now"
COUNTS = re.compile(rf"(^|_)({COUNTED})($|_)")


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a checkout")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_has_a_short_caption(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = text.splitlines()[0] if text else ""
    assert 0 < len(first) <= 72, f"{path}: caption is {len(first)} characters long"


def test_no_room_is_called_utils() -> None:
    assert not [path for path in MODULES if path.stem in {"utils", "helpers", "common", "misc", "base"}]


def test_the_architecture_page_shows_the_tree_as_it_is() -> None:
    spec = importlib.util.spec_from_file_location("architecture", ROOT / "tests" / "architecture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8") == module.render(), "run: python tests/architecture.py > ARCHITECTURE.md"


def test_every_measured_column_carries_its_unit() -> None:
    bad = [
        f"{table.name}.{column.name}"
        for table in TABLES.values()
        for column in table.columns
        if column.entity is None
        and str(column.dtype) not in UNITLESS_TYPES
        and not suffix_of(column.name)
        and not COUNTS.search(column.name)
    ]
    assert not bad, f"columns without a unit in their name: {bad}"


def test_every_reading_is_a_metric_of_the_vocabulary() -> None:
    assert set(READINGS) <= set(METRICS)


def test_every_metric_says_what_it_is() -> None:
    for metric in METRICS.values():
        assert metric.label
        assert metric.meaning
        assert metric.low < metric.high
        assert set(metric.scopes) <= set(SCOPE_KINDS)


def test_every_calibration_number_names_a_known_source() -> None:
    def entries(value: object, place: str) -> list[tuple[str, str]]:
        if isinstance(value, dict):
            found = [(place, str(value["source"]))] if "source" in value else []
            return found + [item for key, child in value.items() for item in entries(child, f"{place}.{key}")]
        if isinstance(value, list):
            return [item for child in value for item in entries(child, place)]
        return []

    for path in sorted((ROOT / "data" / "calibration").glob("*.toml")):
        named = entries(toml(path), path.stem)
        assert named, f"{path.name} names no source"
        unknown = [f"{place}: {source}" for place, source in named if source not in sources()]
        assert not unknown, f"unknown sources: {unknown[:5]}"
    assert all(source.strength in STRENGTHS for source in sources().values())


def test_nothing_names_a_machine_or_a_registry() -> None:
    words = ["py" + r"pi\.org", "python" + "hosted", r"registry\." + "npmjs", "deb" + r"\.debian", "/wo" + "rk/", "/tmp/" + "bash_jobs"]
    pattern = re.compile("|".join(words))
    for path in _tracked():
        if path.suffix in {".png", ".parquet", ".gz"}:
            continue
        assert not pattern.search(path.read_text(encoding="utf-8", errors="replace")), path


def test_the_locks_hold_hashes_and_no_address() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text
        assert "--hash=sha256:" in text
        assert not re.search(r"^litellm==1\.82\.[78]\b", text, re.M)


def test_decision_records_are_short() -> None:
    for path in (ROOT / "docs" / "decisions").glob("*.md"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 30, path
