"""Rows of checked claims in the store."""

from twin.store import claims

ROW = {"system": "tapas", "claim": "max-temperature", "ours": -0.1, "verdict": "direction only"}


def test_the_last_check_of_a_claim_is_the_one_that_counts(tmp_path):
    claims.save(ROW, "one", tmp_path)
    claims.save({**ROW, "ours": -0.2}, "two", tmp_path)
    claims.save({**ROW, "claim": "peak-row-power"}, "two", tmp_path)
    found = {row["claim"]: (row["ours"], code) for row, code in claims.load_all(tmp_path)}
    assert found == {"max-temperature": (-0.2, "two"), "peak-row-power": (-0.1, "two")}


def test_a_torn_file_is_passed_over(tmp_path):
    claims.save(ROW, "one", tmp_path)
    (tmp_path / "claims" / "tapas-torn.json").write_text('{"row": {"system"')
    (tmp_path / "claims" / "tapas-list.json").write_text("[]")
    assert [row for row, _ in claims.load_all(tmp_path)] == [ROW]


def test_a_store_without_checks_holds_none(tmp_path):
    assert claims.load_all(tmp_path) == []
