"""Is my datacenter all right, and what did the last change do?"""

from app import parts


def show() -> None:
    """Show the page."""
    parts.page_title("Nothing here yet")
