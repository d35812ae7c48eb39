"""Tables that go to disk while a run goes on, and do not outlive it."""

import errno
import fcntl
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import polars as pl

ASIDE: Final = ".saving-"
# About what a row group holds before it is packed: one of a few megabytes is quick to skip, and little to wait for in memory.
_GROUP_BYTES: Final = 4 << 20
_TEXT_BYTES: Final = 16
_ROWS_PER_ID: Final = 8
_MOST_ROWS: Final = 1 << 20
# Times that many rows in a row share.
_REPEATED: Final = ("t_s", "tick_s", "window_s")
# The disk is full, one's share of it is, or a file may not be that large.
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class NoRoomError(ValueError):
    """A run did not find room on the disk; nothing of it is kept."""


@contextmanager
def room(path: Path) -> Iterator[None]:
    """Turn a write that finds no room into one line that says where, and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        words = os.strerror(error.errno).lower()
        raise NoRoomError(f"{path}: {words}; make room there, or shorten horizon_s; nothing of this run was kept") from None


def lock_aside(parent: Path) -> tuple[Path, int]:
    """Make a temporary folder inside ``parent``, locked for as long as its process lives; return it and the lock's handle."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=ASIDE, dir=parent))
    handle = os.open(folder, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    return folder, handle


def locked(path: Path) -> bool:
    """Return whether a living process holds the lock on a file or folder; what is not there is not held, what cannot be opened is."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def leftovers(parent: Path) -> list[Path]:
    """Return temporary folders whose process is gone."""
    return [folder for folder in sorted(parent.glob(f"{ASIDE}*")) if folder.exists() and not locked(folder)]


def group_rows(schema: Mapping[str, pl.DataType | type[pl.DataType]]) -> int:
    """Return how many rows a row group of such columns has: a power of two.

    >>> group_rows({"t_s": pl.Float64, "gpu_id": pl.Enum(["gpu-0"]), "temp_max_c": pl.Float32})
    262144
    """
    width = sum(_width(dtype) for dtype in schema.values())
    # Every row group lists all ids, so that it should hold several rows of each.
    ids = max((len(dtype.categories) for dtype in schema.values() if isinstance(dtype, pl.Enum)), default=0)
    return 1 << max(_GROUP_BYTES // width - 1, min(_ROWS_PER_ID * ids, _MOST_ROWS) - 1, 1).bit_length()


def _width(dtype: pl.DataType | type[pl.DataType]) -> int:
    if dtype.is_numeric():
        return int("".join(letter for letter in str(dtype) if letter.isdigit())) // 8
    return 4 if dtype == pl.Enum else 1 if dtype == pl.Boolean else _TEXT_BYTES


class TableFile:
    """One Parquet file that grows by whole row groups.

    Equal rows give equal files, in however many pieces they come: every row group but the last holds as many rows.
    Columns that are dictionaries of ids have no statistics: every row group holds every id.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.rows = path, 0
        self._writer: Any = None

    def write(self, frame: pl.DataFrame) -> None:
        """Add rows: whole row groups, or fewer rows at the very end."""
        # Brings a large library with it, which imports of light modules must not wait for.
        from pyarrow import default_memory_pool, parquet

        # The oldest form has no views into shared buffers, which every reader of Parquet understands.
        rows = frame.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            floats = [name for name, dtype in frame.schema.items() if dtype.is_float() and name not in _REPEATED]
            # Readings hardly ever repeat; split into their bytes they pack better, and quicker, than as dictionaries.
            self._writer = parquet.ParquetWriter(
                self.path,
                rows.schema,
                # Higher levels take half as long again for two percent of the bytes: most of a run is noise.
                compression="zstd",
                compression_level=1,
                use_dictionary=[name for name in frame.columns if name not in floats],
                column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
                write_statistics=[name for name, dtype in frame.schema.items() if not isinstance(dtype, pl.Enum)],
            )
        with room(self.path.parent):
            self._writer.write_table(rows, row_group_size=group_rows(frame.schema))
        default_memory_pool().release_unused()
        self.rows += frame.height

    def close(self) -> None:
        """Finish the file; it cannot be read before."""
        if self._writer is not None:
            with room(self.path.parent):
                self._writer.close()

    def abandon(self) -> None:
        """Let go of a file that nobody will read; whether its end can be written does not matter."""
        with suppress(OSError):
            if self._writer is not None:
                self._writer.close()


def write_table(path: Path, frame: pl.DataFrame) -> None:
    """Write a whole frame as a TableFile."""
    file = TableFile(path)
    file.write(frame)
    file.close()


class Spool:
    """A folder for one run's tables, made when the first is written and removed with the run, with the process at the latest.

    It lies inside ``parent``, which should be on the disk where the run will be stored; without one among temporary files.
    What a process that was killed has left there goes when another spool is made; in a store ``doctor`` tells of it.
    """

    def __init__(self, parent: Path | None = None) -> None:
        self._parent, self._folder = parent, None  # type: Path | None, Path | None
        self._remove: Any = None
        self.files: dict[str, Path] = {}

    def path(self, table: str) -> Path:
        """Return where a table's file goes."""
        if self._folder is None:
            parent = self._parent
            if parent is None:
                parent = Path(tempfile.gettempdir()) / f"intentwin-{os.getuid()}"
                for folder in leftovers(parent):
                    shutil.rmtree(folder, ignore_errors=True)
            self._folder, handle = lock_aside(parent)
            self._remove = weakref.finalize(self, _remove, self._folder, handle, os.getpid())
        self.files[table] = self._folder / f"{table}.parquet"
        return self.files[table]

    def written_bytes(self, table: str) -> int:
        """Return how large a table's file is by now."""
        return self.files[table].stat().st_size if table in self.files and self.files[table].exists() else 0

    def remove(self) -> None:
        """Remove every file now."""
        self.files.clear()
        if self._remove is not None:
            self._remove()
        self._folder = self._remove = None


def _remove(folder: Path, handle: int, process: int) -> None:
    # A fork inherits the object but not the folder.
    if os.getpid() == process:
        os.close(handle)
        shutil.rmtree(folder, ignore_errors=True)
