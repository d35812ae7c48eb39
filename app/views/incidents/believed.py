"""Panel of whether stated confidences came true, by what people said."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import polars as pl

from app import cases, parts, state
from app.charts.reliability import reliability_svg
from app.charts.statements import count
from app.views.incidents.reading import FEWEST, Looking
from app.views.workloads.lanes import note
from app.widgets.talk import talk
from twin.incidents import calibration
from twin.incidents.calibration import Bin, Measures
from twin.store import feedback
from twin.store.records import Verdict


def believed(look: Looking) -> None:
    """Draw how often the causes that people have judged were right, by how sure one was said to be of them."""
    del look
    said = predictions(cases.verdicts(state.home()))
    measures, bins = of(tuple(said["confidence"].to_list()), tuple(said["right"].to_list()))
    words = title(measures)
    with parts.panel(words, "incidents-believed", data=said, png=bool(bins)):
        if measures is None:
            note(
                "Nobody has said of a named cause whether it was right. Each answer below is a label; "
                f"from {FEWEST} on, confidences are calibrated by them."
            )
            return
        note(under(measures))
        talk(reliability_svg(bins, state.colours(), words), key="incidents-believed")


def predictions(verdicts: Iterable[Verdict]) -> pl.DataFrame:
    """Return every prediction that came with a confidence and was judged: the last word on each."""
    frame = feedback.labels(verdicts)
    return frame.filter((pl.col("predicted_cause") != "") & pl.col("confidence").is_not_null())


@lru_cache(maxsize=8)
def of(confidence: tuple[float, ...], right: tuple[bool, ...]) -> tuple[Measures | None, Sequence[Bin]]:
    """Return what is reported of confidences, and the bins of equal mass that are drawn; None and none where nothing is labelled."""
    if not confidence:
        return None, ()
    measures = calibration.measures(confidence, right)
    return measures, calibration.reliability(confidence, right, bins=calibration.bins_for(len(confidence)))


def title(measures: Measures | None) -> str:
    """Return what a stated confidence is worth."""
    if measures is None:
        return "Uncalibrated: no labels yet"
    said, right = cases.percent(measures.confidence_mean), cases.percent(measures.right_share)
    words = f"It says {said} on average, {right} were right"
    return words if measures.count >= FEWEST else f"Uncalibrated, {count(measures.count, 'label')}: {words[:1].lower()}{words[1:]}"


def under(measures: Measures) -> str:
    """Return the measures together, and what a perfect forecaster of as many would show."""
    auroc = f", AUROC {measures.auroc:.2f}" if measures.auroc == measures.auroc else ""
    return (
        f"n = {measures.count} labelled by people, ECE {measures.ece_mass:.3f} (perfect: {measures.perfect_mass.mean:.3f}, up to "
        f"{measures.perfect_mass.most:.3f}), by equal width {measures.ece_width:.3f}, Brier {measures.brier:.3f} "
        f"(base rate {measures.base_brier:.3f}){auroc}"
    )
