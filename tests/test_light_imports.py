"""Nothing compiles at import."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Every module but the page itself, which draws when it is imported and needs a server for that.
CODE = """
import importlib, pkgutil
from numba.core import event
import app, policies, twin

with event.install_recorder("numba:compile") as compiled:
    names = [m.name for p in (twin, policies, app) for m in pkgutil.walk_packages(p.__path__, p.__name__ + ".") if m.name != "app.main"]
    for name in names:
        before = len(compiled.buffer)
        importlib.import_module(name)
        if len(compiled.buffer) > before:
            print(name, compiled.buffer[before][1].data["dispatcher"].__name__)
print(len(names))
"""


def test_no_module_compiles_anything_when_it_is_imported(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    *compiled, count = done.stdout.splitlines()
    assert not compiled
    assert int(count) > 200
    assert not [path.name for path in tmp_path.rglob("*") if path.is_file()]
