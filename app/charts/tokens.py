"""Colour by role, type and space: the one table for light and dark."""

from dataclasses import dataclass
from typing import Final, Literal

Theme = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class Tokens:
    """Colours of one theme by what they stand for. Lines and marks need 3 to 1, words 4.5 to 1; hence two of some."""

    theme: Theme
    page: str
    surface: str
    hairline: str
    grid: str
    text: str
    muted: str
    control: str
    today: str
    candidate: str
    candidate_fill: str
    limit: str
    good: str
    good_text: str
    risk: str
    risk_text: str
    risk_fill: str
    broken: str
    broken_text: str
    on_primary: str
    hot: str
    hot_outline: str
    series: tuple[str, ...]


LIGHT: Final = Tokens(
    theme="light",
    page="#F6F7F9",
    surface="#FFFFFF",
    hairline="#E2E6EC",
    grid="#EDF0F4",
    text="#14181F",
    muted="#566170",
    control="#828D9C",
    today="#7A8594",
    candidate="#1769D2",
    candidate_fill="#EAF2FC",
    limit="#C8372D",
    good="#1B8A5A",
    good_text="#147A4E",
    risk="#B7791F",
    risk_text="#8A5A0B",
    risk_fill="#FBF2E0",
    broken="#C8372D",
    broken_text="#B52E25",
    on_primary="#FFFFFF",
    hot="#C8372D",
    hot_outline="#000000",
    series=("#6B4FCC", "#275D5F", "#DA62B3", "#545B15", "#1E2548", "#B78C2B", "#67A061", "#531318"),
)

DARK: Final = Tokens(
    theme="dark",
    page="#0E1217",
    surface="#161C24",
    hairline="#28313D",
    grid="#202833",
    text="#E6EAF0",
    muted="#9AA6B5",
    control="#6B7788",
    today="#8A95A4",
    candidate="#5BA4F5",
    candidate_fill="#182C45",
    limit="#FF6B5E",
    good="#45C08A",
    good_text="#45C08A",
    risk="#E5A93F",
    risk_text="#E5A93F",
    risk_fill="#33290F",
    broken="#FF6B5E",
    broken_text="#FF8A7F",
    on_primary="#0E1217",
    hot="#C8372D",
    hot_outline="#FFFFFF",
    series=("#555DCC", "#53AF9D", "#F5BCE7", "#E9E8A1", "#858DB6", "#DB9C24", "#C8EFD0", "#9F6360"),
)

# Cividis from 8 % up: its coldest stop is invisible on the dark surface. (Nunez, Anderton, Renslow 2018, doi 10.1371/journal.pone.0199239)
HEAT: Final = ("#0D3066", "#2C426D", "#4B546D", "#636770", "#7A7975", "#938D77", "#ACA271", "#C8B766", "#E3CE53", "#FEE838")

# Stages of a request take the first four hues of the series, on every page.
STAGES: Final = ("preprocess", "encode", "prefill", "decode")

# Streamlit's own sans has tabular figures and is served from the host; the rest are tabular by default.
FAMILY: Final = "'Source Sans', 'Liberation Sans', Arial, sans-serif"
LABEL_PX: Final = 12
BODY_PX: Final = 14
TITLE_PX: Final = 18
VALUE_PX: Final = 28


def of(theme: str) -> Tokens:
    """Return the tokens of a theme; anything but ``dark`` is light."""
    return DARK if theme == "dark" else LIGHT


def stage_colour(tokens: Tokens, stage: str) -> str:
    """Return the hue of a serving stage (preprocess, encode, prefill, decode)."""
    return tokens.series[STAGES.index(stage)]


def translucent(colour: str, opacity: float) -> str:
    """Return ``#RRGGBB`` as rgba text.

    >>> translucent("#1769D2", 0.28)
    'rgba(23,105,210,0.28)'
    """
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
