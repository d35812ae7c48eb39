"""Prices of devices, switches and cables from outside."""

from pathlib import Path

import pytest

from twin.memory import prices
from twin.store.importers import import_file
from twin.store.prices_file import read

GOOD = """kind,ports,length_m,price_usd,power_w
cable,,1.5,70,
cable,,0.75,30,
switch,32,,7000,90
device,8,,1300,
device,4,,500,6
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "quote.csv"
    path.write_text(text)
    return path


def test_a_quote_is_kept_in_order_and_priced_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path))
    report = import_file("device-prices", written(tmp_path, GOOD), "our-quote", tmp_path)
    assert report.rows == 5
    assert report.notes == ("devices of 4, 8 ports; switches of 32 ports; cables up to 1.5 m",)
    ours = prices.table("import:our-quote")
    assert dict(ours.device_usd) == {4: 500.0, 8: 1300.0}
    assert dict(ours.switch_usd) == {32: 7000.0}
    assert (ours.cable_m, ours.cable_usd) == ((0.75, 1.5), (30.0, 70.0))
    assert (dict(ours.device_power_w), dict(ours.switch_power_w)) == ({4: 6.0}, {32: 90.0})
    assert ours.fitted == ()
    assert prices.names()[-1] == "import:our-quote"


def test_order_and_spelling_of_rows_do_not_matter(tmp_path: Path) -> None:
    head, *rows = GOOD.splitlines()
    turned = "\n".join([head, *reversed(rows)]).replace("device", " Device ")
    first, _ = read(written(tmp_path, GOOD))
    second, _ = read(written(tmp_path, turned + "\n"))
    assert first.equals(second)


def test_what_is_not_read_is_said(tmp_path: Path) -> None:
    text = GOOD.replace("power_w", "vendor")
    frame, notes = read(written(tmp_path, text))
    assert frame["power_w"].null_count() == 5
    assert notes[1] == "not used: vendor"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("switch,32", "router,32", "row 4, column kind: the value is 'router'; write one of device, switch, cable"),
        ("switch,32", "switch,many", "row 4, column ports: the value is 'many'; write a whole number from 1 to 1,024"),
        ("switch,32", "switch,", "row 4, column ports: the value is missing; write a whole number"),
        ("switch,32", "switch,0", "row 4, column ports: the value is '0'"),
        ("switch,32", "switch,3.5", "row 4, column ports: the value is '3.5'"),
        ("cable,,1.5", "cable,4,1.5", "row 2, column ports: the value is '4'; only a device or a switch has one, leave it empty"),
        ("cable,,1.5", "cable,,", "row 2, column length_m: the value is missing; write metres above 0, up to 20"),
        ("cable,,1.5", "cable,,150", "row 2, column length_m: the value is '150'; write metres above 0, up to 20"),
        ("device,8,", "device,8,2", "row 5, column length_m: the value is '2'; only a cable has one, leave it empty"),
        ("1300", "-1300", "row 5, column price_usd: the value is '-1300'; write dollars above 0"),
        ("1300", "nan", "row 5, column price_usd: the value is 'nan'"),
        ("1300", "$1300", r"row 5, column price_usd: the value is '\$1300'"),
        ("1300", "", "row 5, column price_usd: the value is missing"),
        ("7000,90", "7000,hot", "row 4, column power_w: the value is 'hot'; write watts from 0 to 10,000 or leave it empty"),
        ("70,\n", "70,3\n", "row 2, column power_w: the value is '3'; only a device or a switch has one"),
        ("device,8", "device,4", "row 6, column ports: the same device as row 5; keep one of them"),
        ("0.75", "1.50", "row 3, column length_m: the same cable as row 2; keep one of them"),
        ("price_usd", "price", "row 1: no column price_usd; write it as CSV with kind,price_usd,ports,length_m"),
    ],
)
def test_the_first_wrong_value_is_named_and_nothing_is_written(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"^quote\.csv: {said}") as caught:
        import_file("device-prices", path, "ours", tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "imports").exists()


@pytest.mark.parametrize(("kept", "lacking"), [("cable", "device"), ("device", "cable")])
def test_a_table_that_can_price_no_pod_is_refused(tmp_path: Path, kept: str, lacking: str) -> None:
    head, *rows = GOOD.splitlines()
    with pytest.raises(ValueError, match=rf"no {lacking} has a price; add at least one device and one cable"):
        read(written(tmp_path, "\n".join([head, *(row for row in rows if row.startswith(kept))]) + "\n"))
    with pytest.raises(ValueError, match="no price below the header"):
        read(written(tmp_path, head + "\n"))
