"""Snapshots as files: nested state to an npz without pickle, and back."""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from twin.stack import State

_TREE: Final = "tree.json"
_ARRAY: Final = "@array"
_SCALAR: Final = "@scalar"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def pack(state: State) -> bytes:
    """Return a state as the bytes of an npz: one member per array, and a JSON tree for everything else.

    Equal states, in the same order of keys, give equal bytes. Raises ValueError that names the place of a value that cannot be kept.
    """
    arrays: dict[str, NDArray[Any]] = {}
    tree = json.dumps(_flatten(state, "", arrays), separators=(",", ":"), ensure_ascii=False)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(_member(_TREE), tree.encode(), zipfile.ZIP_DEFLATED, 1)
        for name in sorted(arrays):
            content = io.BytesIO()
            npy.write_array(content, arrays[name], allow_pickle=False)
            archive.writestr(_member(f"{name}.npy"), content.getbuffer(), zipfile.ZIP_DEFLATED, 1)
    return buffer.getvalue()


def unpack(content: bytes) -> State:
    """Return the state that ``pack`` kept; arrays are fresh and writable. Raises ValueError where it is damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            arrays = {
                name.removesuffix(".npy"): npy.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
                for name in archive.namelist()
                if name != _TREE
            }
            tree = json.loads(archive.read(_TREE))
        state = _unflatten(tree, arrays)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError) as error:
        raise ValueError(f"snapshot is damaged ({error}); run `intentwin doctor`") from None
    return dict(state)


def _member(name: str) -> zipfile.ZipInfo:
    # A fixed date: the time of writing must not reach the bytes.
    return zipfile.ZipInfo(name, _EPOCH)


def _flatten(value: Any, place: str, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, np.ndarray | np.generic) and not isinstance(value, np.str_):
        if value.dtype.hasobject:
            raise ValueError(f"snapshot: {place} is an array of objects; keep numbers, booleans or fixed-width text")
        name = place.lstrip("/")
        arrays[name] = np.asarray(value)
        return {_ARRAY if isinstance(value, np.ndarray) else _SCALAR: name}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_flatten(item, f"{place}/{index}", arrays) for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        if wrong := [key for key in value if not isinstance(key, str) or key.startswith("@")]:
            raise ValueError(f"snapshot: {place or 'the top'} has the key {wrong[0]!r}; keys are text without a leading '@'")
        return {key: _flatten(item, f"{place}/{_escaped(key)}", arrays) for key, item in value.items()}
    raise ValueError(f"snapshot: {place} is a {type(value).__name__}; keep arrays, numbers, text, booleans, lists and mappings")


def _escaped(key: str) -> str:
    # As in a JSON pointer, so that two places never share a name; the archive would cut a name at its first null.
    return key.replace("~", "~0").replace("/", "~1").replace("\0", "~2")


def _unflatten(tree: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(tree, list):
        return [_unflatten(item, arrays) for item in tree]
    if isinstance(tree, dict):
        if _ARRAY in tree:
            return arrays[tree[_ARRAY]]
        if _SCALAR in tree:
            return arrays[tree[_SCALAR]][()]
        return {key: _unflatten(item, arrays) for key, item in tree.items()}
    return tree
