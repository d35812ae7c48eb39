"""Every calibration number is counted once, with a source that is declared."""

from app.calibrated import MEANINGS, by_strength, entries
from app.published import rows, title
from twin.sources import STRENGTHS


def test_every_entry_has_a_declared_source_and_a_known_strength() -> None:
    frame = entries()
    assert frame.height > 100
    assert set(frame["strength"]) <= set(STRENGTHS)
    assert "not declared in sources.toml" not in set(frame["title"])


def test_the_counts_add_up_and_every_strength_is_explained() -> None:
    assert sum(by_strength().values()) == entries()["numbers"].sum()
    assert set(MEANINGS) == set(STRENGTHS)


def test_a_title_counts_what_holds_and_what_was_fitted_for_it() -> None:
    unchecked = rows([])
    assert "none is checked here yet" in title(unchecked)
    first = unchecked[0]
    found = rows([{"system": first.system_id, "claim": first.claim.id, "ours": first.claim.paper, "verdict": "reproduced"}])
    assert title(found).startswith("One of ")
    assert next(row for row in found if row.key == first.key).ours == first.claim.paper
