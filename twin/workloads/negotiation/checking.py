"""A scenario's negotiation is refused where it names what there is not."""

import difflib
from collections.abc import Collection

from twin.workloads.negotiation import classes
from twin.workloads.negotiation.settings import Settings

_MESSAGES_KIND = "hints-log"


def inputs(settings: Settings) -> list[tuple[str, str]]:
    """Return kind and name of each imported file that the negotiation draws on."""
    asked = ((classes.KIND, settings.classes), (_MESSAGES_KIND, settings.messages))
    return [(kind, name) for kind, setting in asked if (name := classes.import_name(setting))]


def check(settings: Settings, rented: Collection[str], endpoints: Collection[str]) -> None:
    """Raise ValueError, one line, for a tenant that neither rents VMs nor is an endpoint, and for a class that is not there."""
    there = classes.named(settings.classes)
    for index, tenant in enumerate(settings.tenants):
        at = f"workloads.negotiation.tenants.{index}"
        if tenant.id not in rented and tenant.id not in endpoints:
            known = sorted({*rented, *endpoints})
            raise ValueError(f"{at}: no workload or endpoint is called {tenant.id!r}; {_near(tenant.id, known)}")
        if tenant.workload_class not in there:
            raise ValueError(f"{at}: class {tenant.workload_class!r} is unknown; {_near(tenant.workload_class, list(there))}")
    if settings.messages and not settings.tenants:
        raise ValueError("workloads.negotiation.messages: nobody negotiates; name tenants or leave it out")


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else f"there are: {', '.join(known) or 'none'}"
