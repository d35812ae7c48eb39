"""How alike texts are in meaning: sentence embeddings, kept on disk."""

import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from policies import minilm
from twin import sources
from twin.incidents.similar import Lexical, Similar

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
# Of a long history only those that are nearest by words are encoded: at 30 to 90 texts a second a history of 10,000 takes minutes, and
# an investigation is to take a second or two. Not below the 50 that can be asked for.
SHORTLIST: Final = 64
_MOST_SHARDS: Final = 16
_MOST_KEPT: Final = 100_000
_BATCH: Final = 512
_QUERIES: Final = 256


def choose(home: Path | None = None) -> Similar:
    """Return the encoder where its weights are installed, else the lexical one; its ``name`` says which and is shown.

    ``home`` is where vectors are kept (``$INTENTWIN_HOME`` where None). ``INTENTWIN_EMBEDDINGS=lexical`` asks for the lexical one.
    """
    if os.environ.get("INTENTWIN_EMBEDDINGS", "") == "lexical" or not minilm.installed():
        return Lexical()
    return Embedded(Kept((sources.home_dir() if home is None else home) / "embeddings"))


class Embedded:
    """Cosines of sentence embeddings. Among more than ``shortlist`` texts only those nearest by words are compared, the others are 0."""

    name = f"sentence embeddings ({minilm.MODEL})"

    def __init__(self, kept: "Kept", shortlist: int = SHORTLIST) -> None:
        self._kept, self._shortlist = kept, shortlist
        self._words = Lexical()

    def similarities(self, query: str, texts: Sequence[str]) -> Floats:
        """Return 0 to 1 for each text (N,); a cosine below 0 is 0."""
        out = np.zeros(len(texts))
        if not len(texts) or not query.strip():
            return out
        near = np.arange(len(texts))
        if len(texts) > self._shortlist:
            near = np.sort(np.argsort(-self._words.similarities(query, texts), kind="stable")[: self._shortlist])
        vectors = self._kept.vectors([texts[place] for place in near.tolist()])
        # Products are taken one text at a time, so that a text's likeness does not hang on how many others there are.
        cosine = np.einsum("nd,d->n", vectors.astype(np.float64), self._kept.query(query).astype(np.float64))
        out[near] = np.clip(np.round(cosine, 5), 0.0, 1.0)
        return out


class Kept:
    """Vectors of texts: encoded once, kept in a folder by the hash of the text.

    Each writing is a file of its own, put there whole, so that any number of processes share the folder; many files are made one. What is
    damaged is encoded anew. At most 100,000 vectors are kept (150 MB).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / minilm.MODEL
        self._model: minilm.MiniLM | None = None
        self._known: dict[bytes, Floats32] | None = None
        self._queries: dict[bytes, Floats32] = {}

    def vectors(self, texts: Sequence[str]) -> Floats32:
        """Return the unit vectors of texts, shape (N, 384)."""
        if self._known is None:
            self._known = self._read()
        known, keys = self._known, [_key(text) for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        wanted = list(missing.items())
        for begin in range(0, len(wanted), _BATCH):
            batch = wanted[begin : begin + _BATCH]
            new = {key: vector for (key, _), vector in zip(batch, self._encode([text for _, text in batch]), strict=True)}
            known.update(new)
            self._write(new)
        return np.array([known[key] for key in keys], dtype=np.float32).reshape(len(keys), minilm.SIZE)

    def query(self, text: str) -> Floats32:
        """Return the unit vector of a question, shape (384,); the last few are remembered, none on disk."""
        key = _key(text)
        if key not in self._queries:
            if len(self._queries) >= _QUERIES:
                self._queries.clear()
            self._queries[key] = self._encode([text])[0]
        return self._queries[key]

    def _encode(self, texts: Sequence[str]) -> Floats32:
        if self._model is None:
            self._model = minilm.MiniLM()
        return self._model.encode(texts)

    def _read(self) -> dict[bytes, Floats32]:
        files = sorted(self._folder.glob("*.npz"), key=lambda file: (_age(file), file.name))
        found: dict[bytes, Floats32] = {}
        for file in files:
            found.update(_shard(file))
        if len(files) > _MOST_SHARDS:
            found = dict(list(found.items())[-_MOST_KEPT:])
            if self._write(found):
                for file in files:
                    file.unlink(missing_ok=True)
        return found

    def _write(self, new: dict[bytes, Floats32]) -> bool:
        """Put vectors into a new file; a folder that cannot be written to only costs the time to encode them again."""
        part = self._folder / f".{secrets.token_hex(8)}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as opened:
                keys = np.frombuffer(b"".join(new), dtype=np.uint8).reshape(len(new), 16)
                np.savez(opened, keys=keys, vectors=np.array(list(new.values()), dtype=np.float32))
            part.rename(self._folder / f"{secrets.token_hex(8)}.npz")
        except OSError:
            return False
        return True


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()[:16]


def _age(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _shard(file: Path) -> dict[bytes, Floats32]:
    """Return what a file holds; nothing where it is damaged, or was made one with others just now."""
    try:
        with np.load(file, allow_pickle=False) as opened:
            keys, vectors = opened["keys"], np.asarray(opened["vectors"], dtype=np.float32)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return {}
    if keys.shape != (len(vectors), 16) or vectors.shape[1:] != (minilm.SIZE,) or not np.isfinite(vectors).all():
        return {}
    return {key.tobytes(): vector for key, vector in zip(keys, vectors, strict=True)}
