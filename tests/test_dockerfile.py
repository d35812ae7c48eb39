"""The image is warm: what it compiles when it is built serves other CPUs too."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Another machine: the CPU is of another kind than the one that warmed the cache. Every card runs on the example, with whole
# instances and with prefill apart from decode.
SECOND = """
import llvmlite.binding
llvmlite.binding.get_host_cpu_name = lambda: "skylake"
from policies import catalogue, study
from policies.policy import Held, PolicySet, Schedule
from twin.run import simulate
from twin.scenario import load
scenario = load("example")
for card in catalogue.cards().values():
    for layout in ("monolithic", "prefill_decode"):
        mine = {lever: (Held(system=card.id),) for lever in card.levers}
        policy = PolicySet(levers={"stage_layout": (Held(system=layout),), **mine})
        simulate(scenario, study.phases(Schedule.of(policy), scenario), seed=3, until_s=900.0)
"""


def _dockerfile() -> list[str]:
    """Return the instructions of the Dockerfile, one line each."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    return re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()


def _environment(cache: Path, home: Path) -> dict[str, str]:
    """Return the image's variables, its folders put elsewhere."""
    said = dict(line.removeprefix("ENV ").split("=", 1) for line in _dockerfile() if line.startswith("ENV "))
    said = {name: value.strip('"') for name, value in said.items()}
    rest = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**rest, **said, "PATH": path, "PYTHONPATH": str(ROOT), "INTENTWIN_HOME": str(home), "NUMBA_CACHE_DIR": str(cache)}


def _written(cache: Path) -> dict[str, int]:
    return {str(file.relative_to(cache)): file.stat().st_mtime_ns for file in cache.rglob("*.nb*")}


def test_after_the_warm_up_a_second_process_on_another_cpu_compiles_nothing(tmp_path: Path) -> None:
    cache, home = tmp_path / "cache", tmp_path / "home"
    cache.mkdir()
    home.mkdir()
    environment = _environment(cache, home)
    (warm_up,) = [line.removeprefix("RUN ") for line in _dockerfile() if line.startswith("RUN ") and "intentwin run" in line]
    subprocess.run(["sh", "-c", warm_up], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=300)
    before = _written(cache)
    assert before, "the warm-up compiles nothing"
    subprocess.run([sys.executable, "-c", SECOND], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=300)
    assert _written(cache) == before
