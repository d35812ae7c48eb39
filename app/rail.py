"""The pages of the console, by section of the rail."""

from collections.abc import Mapping
from typing import Final

FIRST: Final = "overview"
# section -> (view, title, icon, what it answers); a view that is not there yet has no entry in the rail.
VIEWS: Final[Mapping[str, tuple[tuple[str, str, str, str], ...]]] = {
    "Operate": (
        ("overview", "Overview", "dashboard", "Is my datacenter all right, and what did the last change do?"),
        ("intents", "Intents", "chat_bubble", "What did I ask for, and does it hold?"),
        ("incidents", "Incidents", "warning", "What broke, why, and how sure are we?"),
    ),
    "Plant": (
        ("thermal", "Thermal & power", "thermometer", "Where is it hot, and how far from the limits?"),
        ("memory", "Memory", "memory", "Which pod should I build, and does it hold the demand?"),
    ),
    "Platform": (
        ("serving", "Serving stages", "bar_chart", "Where do requests wait?"),
        ("workloads", "Workloads", "layers", "What did the platform and the workloads tell each other, and what did it save?"),
        ("workflows", "Workflows", "account_tree", "What is the cheapest way to run this job well enough?"),
        ("functions", "Functions", "bolt", "What would kernel bypass buy?"),
    ),
    "Decide": (
        ("compare", "Compare", "compare_arrows", "Which policy should I roll out?"),
        ("reports", "Reports", "description", "What do I take to the change board?"),
        ("claims", "Claims & sources", "check", "Can I trust this tool?"),
    ),
}
