"""The token that opens the API: from the environment or a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "INTENTWIN_API_TOKEN"
SHORTEST: Final = 16
_LONGEST: Final = 512


def from_environment(environment: Mapping[str, str]) -> str | None:
    """Return the token; None where the API is off. ValueError, one line, for one that is no good."""
    text = environment.get(VARIABLE, "")
    return checked(text, VARIABLE) if text.strip() else None


def from_file(path: Path) -> str:
    """Return the token in a file. ValueError, one line, where it cannot be read or is no good."""
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--api-token-file {path}: cannot be read ({getattr(error, 'strerror', None) or 'not plain text'})") from None
    return checked(text, f"--api-token-file {path}")


def checked(text: str, place: str) -> str:
    """Return a token without the blanks around it; ValueError where it is short or has other than printable ASCII in it."""
    token = text.strip()
    if not SHORTEST <= len(token) <= _LONGEST:
        raise ValueError(
            f"{place}: the token has {len(token)} characters; write {SHORTEST} to {_LONGEST}, such as `openssl rand -hex 24` gives"
        )
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise ValueError(f"{place}: the token has a blank or a letter beyond ASCII in it; `openssl rand -hex 24` gives a good one")
    return token
