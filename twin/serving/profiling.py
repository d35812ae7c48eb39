"""A user's own latency measurements become a profile, or are refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from twin.serving import latency, tabular
from twin.serving.latency import Profile

Floats = NDArray[np.float64]

PHASES: Final = ("prefill", "decode")
SUBJECT: Final = ("gpu", "engine", "model", "tp", "precision")
_MEASURED: Final = ("phase", "batch", "tokens", "ms")
_DEFAULTS: Final = {"engine": "vllm", "precision": "bf16"}
_FEWEST: Final = 6
_SMALL_TOKENS: Final = 256  # shorter prefills take what reading the weights takes: they make the floor
_WORST_MEAN_ERROR_SHARE: Final = 0.30
# So far from what is built in lies no engine, but another unit does.
_OTHER_UNIT: Final = 20.0
_HIGHEST: Final = 100_000_000
_MOST_POINTS: Final = 1_000_000


def read(path: Path, subject: Mapping[str, str]) -> pl.DataFrame:
    """Read measurements from CSV: phase, batch, tokens, ms, and what they were measured on.

    ``phase`` is prefill or decode; ``tokens`` are the prompt tokens (prefill) or the context tokens (decode) of each of the
    ``batch`` requests of the iteration; ``ms`` is its duration. gpu, engine, model, tp and precision are columns, or the same
    for the whole file in ``subject``. Returns these nine columns. ValueError names file, row (the header is row 1), column.
    """
    raw = tabular.read(path)
    names = [name.lower() for name in raw.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path.name}: row 1: the column {twice[0]} is there twice; remove one")
    raw.columns = names
    missing = [name for name in _MEASURED if name not in names]
    if missing:
        raise ValueError(
            f"{path.name}: row 1: no column {', '.join(missing)} (there are: {', '.join(names)[:120]}); write {','.join(_MEASURED)}"
        )
    if not 0 < raw.height <= _MOST_POINTS:
        raise ValueError(f"{path.name}: {raw.height:,} rows below the header; write at least {_FEWEST} of each phase")
    columns = {name: raw[name].str.strip_chars() for name in _MEASURED}
    phase = columns["phase"].str.to_lowercase()
    tabular.refuse(path, "phase", columns["phase"], ~phase.is_in(list(PHASES)), "write prefill or decode")
    found = {"phase": phase}
    for name in ("batch", "tokens"):
        number = columns[name].cast(pl.Float64, strict=False)
        tabular.refuse(
            path, name, columns[name], _not_within(number, 1.0, _HIGHEST) | (number != number.floor()), "write a whole number from 1"
        )
        found[name] = number
    ms = columns["ms"].cast(pl.Float64, strict=False)
    tabular.refuse(path, "ms", columns["ms"], ~(ms > 0) | _not_within(ms, 0.0, _HIGHEST), "write a time in milliseconds above zero")
    found["ms"] = ms
    return pl.DataFrame({**found, **_subject(path, raw, subject)})


def fit_all(points: pl.DataFrame, place: str) -> list[Profile]:
    """Fit one profile to the points of each (gpu, engine, model, tp); ValueError says which points do not follow the model."""
    groups = points.partition_by(list(SUBJECT[:-1]), maintain_order=True)
    profiles = []
    for group in groups:
        where = place if len(groups) == 1 else f"{place}: {group['model'][0]} on {group['tp'][0]} x {group['gpu'][0]}"
        if group["precision"].n_unique() > 1:
            raise ValueError(f"{where}: several precisions for one model, GPU and tp; import each under a name of its own")
        profiles.append(fit(group, where))
    return profiles


def fit(points: pl.DataFrame, place: str) -> Profile:
    """Fit the model of ``twin.serving.latency`` to the points of one subject: relative least squares, no coefficient below zero."""
    gpu, engine, model, tp, precision = points.select(SUBJECT).row(0)
    try:
        capacity = latency.kv_capacity_tokens(gpu, model, tp, precision)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    if capacity == 0:
        raise ValueError(f"{place}: the weights of {model} in {precision} do not fit {tp} x {gpu}; correct gpu, model, tp or precision")
    batch, tokens, ms = (_phase(points, "decode", name) for name in _MEASURED[1:])
    _check(f"{place}: decode", batch, batch * tokens, ms, np.stack([np.ones_like(batch), batch, batch * tokens], axis=1))
    decode, decode_error = _fitted(np.stack([np.ones_like(batch), batch, batch * tokens], axis=1), ms)
    batch, tokens, ms = (_phase(points, "prefill", name) for name in _MEASURED[1:])
    design = np.stack([np.ones_like(batch), batch * tokens, batch * tokens**2], axis=1)
    _check(f"{place}: prefill", None, batch * tokens, ms, design)
    prefill, floor, prefill_error = _fitted_prefill(design, ms, float(decode[0]))
    for phase, (mean, _) in (("prefill", prefill_error), ("decode", decode_error)):
        if mean > _WORST_MEAN_ERROR_SHARE:
            raise ValueError(
                f"{place}: {phase} does not follow the model: mean error {mean:.0%}, at most {_WORST_MEAN_ERROR_SHARE:.0%} is taken; "
                "look for mixed units, warm-up runs or several configurations in one file"
            )
    coefficients = (floor / 1e3, *(float(value) / 1e3 for value in (*prefill, *decode)), 0.0, float(capacity))
    profile = Profile(gpu, engine, model, tp, coefficients, prefill_error, decode_error, "imported", precision)
    _of_this_world(profile, place)
    return profile


def _of_this_world(profile: Profile, place: str) -> None:
    """Refuse times that no engine on these GPUs is near to: mostly they are in another unit."""
    try:
        known = latency.profile(profile.gpu, profile.engine, profile.model, profile.tp, profile.precision)
    except ValueError:
        return
    mine_s, known_s = (float(latency.decode_s(each.coefficients, 8, 8192)) for each in (profile, known))
    if not 1.0 / _OTHER_UNIT < mine_s / known_s < _OTHER_UNIT:
        raise ValueError(
            f"{place}: a decode iteration of 8 requests takes {1e3 * mine_s:.3g} ms, the built-in profile has {1e3 * known_s:.3g} ms; "
            "are the times in milliseconds?"
        )


def frame(profiles: list[Profile]) -> pl.DataFrame:
    """Return profiles as the table in which they are kept; ``latency.imported_profiles`` reads it."""
    return pl.DataFrame([
        {
            **{name: getattr(each, name) for name in SUBJECT},
            **dict(zip(latency.COLUMNS[: latency.OVERHEAD_S], each.coefficients, strict=False)),
            "prefill_error_mean_share": each.prefill_error_share[0], "prefill_error_max_share": each.prefill_error_share[1],
            "decode_error_mean_share": each.decode_error_share[0], "decode_error_max_share": each.decode_error_share[1],
        }
        for each in profiles
    ])  # fmt: skip


def beside_built_in(profile: Profile) -> tuple[str, ...]:
    """Return lines that show a profile, its errors, and the built-in one of the same subject."""
    what = f"{profile.model} {profile.precision} on {profile.tp} x {profile.gpu} with {profile.engine}"
    lines = [f"{what}: fitted    {formula(profile)}"]
    try:
        built_in = latency.profile(profile.gpu, profile.engine, profile.model, profile.tp, profile.precision)
    except ValueError as error:
        return (*lines, f"{what}: built-in  none: {error}")
    scaled = f", scaled from {built_in.scaled_from}" if built_in.scaled_from else ""
    return (*lines, f"{what}: built-in  {formula(built_in)}{scaled}")


def formula(profile: Profile) -> str:
    """Return a profile's coefficients in milliseconds and thousands of tokens, with mean and largest errors."""
    floor, c0, c1, c2, d0, d1, d2 = profile.coefficients[: latency.OVERHEAD_S]
    prefill, decode = (f"{mean:.1%}, at most {most:.0%}" for mean, most in (profile.prefill_error_share, profile.decode_error_share))
    return (
        f"prefill max({1e3 * floor:.2f}, {1e3 * c0:.2f} + {1e6 * c1:.2f} kT + {1e9 * c2:.3f} kT2) ms, error {prefill}; "
        f"decode {1e3 * d0:.2f} + {1e3 * d1:.4f} B + {1e6 * d2:.4f} kS ms, error {decode}"
    )


def _fitted(design: Floats, ms: Floats) -> tuple[Floats, tuple[float, float]]:
    """Return coefficients in ms (none below zero) and mean and largest relative errors."""
    from scipy.optimize import nnls  # a fifth of what importing the domain costs, and only imports need it

    relative = design / ms[:, None]
    size = relative.max(axis=0)
    coefficients = nnls(relative / size, np.ones_like(ms))[0] / size
    return coefficients, _errors(design @ coefficients, ms)


def _fitted_prefill(design: Floats, ms: Floats, reading_ms: float) -> tuple[Floats, float, tuple[float, float]]:
    """Return coefficients, floor and errors. The floor fits the short prompts best; at most a decode's fixed part without any."""
    small = design[:, 1] < _SMALL_TOKENS
    large = ~small
    # Too little above the floor to tell the terms apart: everything is fitted.
    if np.linalg.matrix_rank(design[large] / design.max(axis=0)) < design.shape[1] or large.sum() < _FEWEST:
        large = np.ones_like(large)
    coefficients, _ = _fitted(design[large], ms[large])
    line, floor = design @ coefficients, min(reading_ms, float(ms.min()))
    if small.any():
        tried = np.unique(np.quantile(ms[small], np.linspace(0.0, 1.0, 101)))
        floor = float(min(tried, key=lambda each: float(np.abs(np.maximum(each, line[small]) / ms[small] - 1.0).mean())))
    return coefficients, floor, _errors(np.maximum(floor, line), ms)


def _errors(model_ms: Floats, ms: Floats) -> tuple[float, float]:
    error = np.abs(model_ms / ms - 1.0)
    return float(error.mean()), float(error.max())


def _check(where: str, batch: Floats | None, total: Floats, ms: Floats, design: Floats) -> None:
    """Refuse points from which the coefficients do not follow."""
    if len(ms) < _FEWEST:
        raise ValueError(f"{where}: {len(ms)} points, at least {_FEWEST} are needed; measure more")
    if batch is not None and len(np.unique(batch)) < 2:
        raise ValueError(f"{where}: only one batch size, {batch[0]:.0f}; measure others")
    if len(np.unique(total)) < 3:
        raise ValueError(f"{where}: only {len(np.unique(total))} different token counts; measure others")
    if np.linalg.matrix_rank(design / design.max(axis=0)) < design.shape[1]:
        raise ValueError(f"{where}: batch and tokens vary together only, their effects cannot be told apart; vary tokens at one batch size")
    with np.errstate(invalid="ignore", divide="ignore"):
        together = float(np.corrcoef(np.log(total), np.log(ms))[0, 1]) if np.ptp(ms) > 0 else 0.0
    if not together > 0:
        raise ValueError(f"{where}: ms does not grow with tokens (correlation {together:.2f}); check the columns and their units")


def _phase(points: pl.DataFrame, phase: str, column: str) -> Floats:
    return points.filter(pl.col("phase") == phase)[column].to_numpy().astype(np.float64)


def _subject(path: Path, raw: pl.DataFrame, subject: Mapping[str, str]) -> dict[str, pl.Series]:
    """Return what was measured, by row: from columns, else from options, else the defaults."""
    found: dict[str, pl.Series] = {}
    for name in SUBJECT:
        if name in raw.columns and name in subject:
            raise ValueError(f"{path.name}: row 1: the column {name} and the option --{name} both say what was measured; leave one out")
        if name not in raw.columns and name not in subject and name not in _DEFAULTS:
            raise ValueError(f"{path.name}: what was measured? no column {name}; give --{name}, or add the column")
        given = raw[name] if name in raw.columns else pl.Series(name, [subject.get(name, _DEFAULTS.get(name, ""))] * raw.height)
        text = given.str.strip_chars().str.to_lowercase()
        known = _known(name)
        tabular.refuse(path, name, text, ~text.is_in(known), f"write one of {', '.join(known)}")
        found[name] = text.cast(pl.Int64) if name == "tp" else text
    return found


def _known(name: str) -> list[str]:
    measured = latency.profiles()
    return {
        "gpu": sorted({key[0] for key in measured}),
        "engine": sorted({key[1] for key in measured}),
        "model": list(latency.model_names()),
        "tp": [str(tp) for tp in sorted({key[3] for key in measured})],
        "precision": list(latency.precisions()),
    }[name]


def _not_within(values: pl.Series, low: float, high: float) -> pl.Series:
    return values.is_null() | values.is_nan() | (values < low) | (values > high)
