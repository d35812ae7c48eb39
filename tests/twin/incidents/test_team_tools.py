"""Tools that a team adds are read from cards, and what is wrong with one is said in a line."""

import pytest

from twin.incidents import team_tools

CARD = """
name = "coolant_pressure"
team = "facilities"
meaning = "pressure of the coolant loop of a row"
sql = "SELECT time, value FROM telemetry WHERE entity = $row AND value > $least AND metric <> 'a;$b'"
[arguments.row]
type = "text"
meaning = "row"
[arguments.least]
type = "number"
default = 0.5
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pressure.toml").write_text(CARD)
    return tmp_path


def test_a_card_becomes_a_tool_with_typed_arguments(folder):
    (found,) = team_tools.read(folder)
    assert found.tool.team == "facilities"
    assert found.tool.arguments["required"] == ["row"]
    assert found.types == {"row": "text", "least": "number"}
    assert found.defaults == {"least": 0.5}


def test_a_runbook_is_a_tool_too(folder):
    (folder / "pressure.toml").write_text('name = "pump"\nteam = "t"\nmeaning = "m"\nrunbook = "1. look at the pump"')
    (found,) = team_tools.read(folder)
    assert found.text == "1. look at the pump"
    assert found.sql == ""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"coolant_pressure"', '"sql"', r"pressure\.toml: name 'sql' is taken by our own tools"),
        ('"coolant_pressure"', '"Coolant Pressure"', r"pressure\.toml: name: "),
        ("SELECT time", "DELETE FROM x; SELECT time", "sql must be one SELECT"),
        ("$least AND", "$most AND", r"sql uses \$most, which is no argument"),
        ("value > $least AND", "", "argument 'least' is not used"),
        ("default = 0.5", 'default = "much"', "default 'much' is no number"),
        ("default = 0.5", "defualt = 0.5", r"arguments\.least\.defualt"),
        ('team = "facilities"', "", "team: Field required"),
        ("name =", "name", r"pressure\.toml: not valid TOML"),
        ('meaning = "pressure', 'runbook = "x"\nmeaning = "pressure', "give either sql or runbook"),
    ],
)
def test_what_is_wrong_with_a_card_is_one_line(folder, old, new, words):
    (folder / "pressure.toml").write_text(CARD.replace(old, new, 1))
    with pytest.raises(ValueError, match=words) as failed:
        team_tools.read(folder)
    assert "\n" not in str(failed.value)


def test_two_cards_of_one_name_are_refused(folder):
    (folder / "second.toml").write_text(CARD)
    with pytest.raises(ValueError, match=r"second\.toml: name 'coolant_pressure' is taken by pressure\.toml"):
        team_tools.read(folder)


def test_without_a_folder_there_are_none_but_a_named_one_must_be_there(tmp_path, monkeypatch):
    monkeypatch.setenv("INTENTWIN_HOME", str(tmp_path / "home"))
    assert team_tools.read() == ()
    with pytest.raises(ValueError, match="no such folder of tools"):
        team_tools.read(tmp_path / "nothing")
