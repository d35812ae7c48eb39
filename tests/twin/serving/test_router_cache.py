"""What was compiled before the kernel's columns changed is not used again."""

import importlib.util
import os
from pathlib import Path
from typing import Any

from twin.serving import batching as b

RULE = """
from twin.serving.batching import router

@router
def first(t, i, count, requests, instances, heap, load, allowed, score, memory):
    return 0
"""


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("a_rule", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert not module.first.signatures, "nothing compiles at import"
    b.entry(module.first)
    return module.first


def test_a_rule_is_compiled_once_and_again_when_the_kernel_is_newer(tmp_path: Path) -> None:
    path = tmp_path / "a_rule.py"
    path.write_text(RULE, encoding="utf-8")
    assert not _load(path).stats.cache_hits
    assert _load(path).stats.cache_hits
    before_s = Path(b.__file__).stat().st_mtime - 10.0
    for index in tmp_path.rglob("a_rule.*.nbi"):
        os.utime(index, (before_s, before_s))
    assert not _load(path).stats.cache_hits
