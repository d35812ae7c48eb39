"""What a holder of a workload lever may see and move."""

from typing import Final

from twin.stack import Lever

# VM placement and offers join here with the domain's own issues; ownership of servers is already decided in model.py.
LEVERS: Final[tuple[Lever, ...]] = ()
