"""Logs of hints and answers from outside: checked."""

from pathlib import Path
from typing import Final

import polars as pl

from twin.workloads.negotiation.outside import SCHEMA, checked

_ACCEPTED: Final = f"CSV or Parquet with {', '.join(SCHEMA)}"


def read(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Read what programs outside said in a session, a hint or an answer a row; see ``outside.checked`` for columns and values.

    The second value says what is worth knowing. ValueError, one line, names file, row, column and remedy of the first thing that
    is wrong; rows of CSV count from its header, those of Parquet from their first. Whether the workloads, deployments and VMs are
    there is for the run to say.
    """
    from twin.serving import tabular

    with path.open("rb") as file:
        parquet = file.read(4) == b"PAR1"
    raw = _parquet(path) if parquet else tabular.read(path, _ACCEPTED)
    log = checked(raw, path.name, 1 if parquet else 2)
    unused = [name for name in raw.columns if name not in SCHEMA]
    return log, (_about(log), *([f"not used: {', '.join(unused)[:200]}"] if unused else []))


def _parquet(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ValueError(f"{path.name}: {str(error).splitlines()[0]:.80}; write it as {_ACCEPTED}") from None


def _about(log: pl.DataFrame) -> str:
    hints = log.filter(pl.col("what") == "hint")
    back, whose = hints["value"].null_count(), log.select("scope", "of_id").n_unique()
    taken_back = f" ({back:,} taken back)" if back else ""
    return f"{hints.height:,} hints{taken_back} and {log.height - hints.height:,} answers of {whose:,} VMs, deployments and workloads"
