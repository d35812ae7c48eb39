"""Units against pint, number words, windows and places."""

import pytest

from policies.intent.interpret import numerals, windows
from policies.intent.interpret.canon import Board, Canon
from policies.intent.interpret.quantities import mark
from policies.intent.interpret.words import units
from policies.intent.model import WindowSpec
from twin.units import registry

_PINT = {"power": "watt", "energy": "joule", "time": "second", "mass": "kilogram", "volume": "litre", "bytes": "byte"}
# Pint has no word of its own for these.
_OURS = {
    "t", "ton", "tons", "metric ton", "metric tons", "tonne", "tonnes", "kl", "kilolitre", "kilolitres", "kiloliters",
    "pounds of co2", "pounds of carbon", "cbm", "m", "gigs", "b", "nsec", "nanos", "usec", "micros", "microsec", "msec", "msecs",
    "millis", "millisec", "sec", "secs", "mins", "hrs", "hr", "h", "kgs", "kilo", "kilos", "kilogramme", "kilogrammes", "lbs", "g",
    "gal", "us gallons", "mw", "mj", "gj", "tj", "mwh", "gwh", "gw", "kib", "mib", "gib", "tib", "kb", "mb", "gb", "tb", "pb", "l",
    "kj", "w", "kw", "j", "wh", "kwh", "hl", "ml", "m^3", "m3", "us",
}  # fmt: skip


def test_unit_factors_are_those_of_pint() -> None:
    pint = registry()
    checked = 0
    for spelled, (kind, factor) in units().items():
        if kind in _PINT and spelled not in _OURS:
            word = (
                spelled.replace("cubic metres", "meter**3")
                .replace("cubic meters", "meter**3")
                .replace("cubic metre", "meter**3")
                .replace("cubic meter", "meter**3")
            )
            joined = {"kilowatthours": "kilowatt hour", "megawatthours": "megawatt hour", "watthours": "watt hour"}.get(word, word)
            joined = (
                joined.replace("kilo watts", "kilowatt")
                .replace("mega watts", "megawatt")
                .replace(" hours", "*hour")
                .replace(" hour", "*hour")
            )
            assert pint.Quantity(1.0, joined).to(_PINT[kind]).magnitude == pytest.approx(factor, rel=1e-9), spelled
            checked += 1
    assert checked > 40


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("176 F", "temp", 80.0), ("353.15 kelvin", "temp", 80.0),
        ("2,350 kW", "power", 2.35e6), ("0.29 MW", "power", 290000.0), ("52 MWh", "energy", 1.872e11),
        ("270 nanoseconds", "time", 2.7e-7), ("5 cents", "money", 0.05), ("$1.2k", "money", 1200.0),
        ("256 GiB", "bytes", 256 * 1024.0**3), ("12 tonnes", "mass", 12000.0),
        ("30 cubic metres", "volume", 30000.0), ("two hundred and eighty ns", "time", 2.8e-7), ("half a percent", "share", 0.005),
        ("a quarter of an hour", "time", 900.0),
        ("95 out of 100", "share", 0.95), ("two fifths", "part", 0.4), ("900 euros", "foreign", 900.0),
        ("one and a half seconds", "time", 1.5),
        ("-25%", "share", -0.25),
    ],
)  # fmt: skip
def test_a_quantity_is_read_in_the_unit_used_inside(text: str, kind: str, value: float) -> None:
    board = Board.of(numerals.rewrite(Canon.of(text)))
    mark(board)
    (found,) = board.ordered("quantity")
    assert found.value.kind == kind
    assert found.value.value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from 11 pm to 5 am", WindowSpec(from_="23:00", to="05:00")),
        ("until 6, GPUs", WindowSpec(from_="00:00", to="06:00")),
        ("after 18:00 use less", WindowSpec(from_="18:00", to="24:00")),
        ("half past eight to quarter to ten in the morning", WindowSpec(from_="08:30", to="09:45")),
        ("from noon to midnight", WindowSpec(from_="12:00", to="24:00")),
        ("2-5 pm", WindowSpec(from_="14:00", to="17:00")),
        ("from 9 to 5", WindowSpec(from_="09:00", to="17:00")),
        ("in the evening and at night", WindowSpec(from_="18:00", to="06:00")),
        ("on Mondays and Thursdays", WindowSpec(days=("mon", "thu"))),
        ("weekend nights", WindowSpec(from_="22:00", to="06:00", days=("sat", "sun"))),
        ("during business hours", WindowSpec(from_="09:00", to="17:00", days=("mon", "tue", "wed", "thu", "fri"))),
    ],
)
def test_a_time_is_read_as_a_window(text: str, expected: WindowSpec) -> None:
    board = Board.of(numerals.rewrite(Canon.of(text)))
    windows.mark(board)
    windows.join(board)
    assert [found.value for found in board.ordered("window")] == [expected]


@pytest.mark.parametrize(
    "text", ["after yesterday's post-mortem", "the auditor who came on Tuesday", "good morning all,", "from now on", "24/7"]
)
def test_stories_greetings_and_always_are_no_windows(text: str) -> None:
    board = Board.of(numerals.rewrite(Canon.of(text)))
    windows.mark(board)
    assert board.ordered("window") == []
