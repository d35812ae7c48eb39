"""What the API refuses, each with a status and one line that says why."""

from dataclasses import dataclass


@dataclass
class Refused(Exception):
    """A request that is not answered: status, a line for people, and after how many seconds to ask again (0 is not said)."""

    status: int
    text: str
    retry_s: float = 0.0


class NotHere(Refused):
    """There is no such thing."""

    def __init__(self, text: str) -> None:
        super().__init__(404, text)


class Conflict(Refused):
    """Not as things stand."""

    def __init__(self, text: str) -> None:
        super().__init__(409, text)


class TooMany(Refused):
    """More than a client or the server may have."""

    def __init__(self, text: str, retry_s: float = 0.0) -> None:
        super().__init__(429, text, retry_s)
