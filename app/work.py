"""What each kind of job does, in its own process: one call down."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from app.jobs import Reporter

Worker = Callable[[Mapping[str, Any], Path, Reporter], dict[str, Any]]
KINDS: Final[dict[str, Worker]] = {}
