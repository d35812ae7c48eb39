"""Whether offers that an intent brings find anybody who negotiates."""

from policies import catalogue
from policies.intent.interpret.reader import Site
from policies.intent.model import Finding
from policies.policy import Held, PolicySet

_LEVER = "offers"


def nobody_hears(policy: PolicySet, site: Site) -> list[Finding]:
    """Tell where offers are to be made to VMs that do not negotiate: there they change nothing."""
    holders = [held for held in policy.levers.get(_LEVER, ()) if held.system != catalogue.levers()[_LEVER].baseline]
    if not holders or site.tenants is None:
        return []
    if not site.tenants:
        return [_said("No workload of this scenario negotiates, so that there is nobody to make offers to;")]
    named = {spec.id for held in holders for spec in held.scope}
    deaf = sorted(named - set(site.tenants)) if _scoped(holders) else []
    return [_said(f"{', '.join(deaf)} negotiates about nothing here, so that offers change nothing there;")] if deaf else []


def _scoped(holders: list[Held]) -> bool:
    return all(held.scope for held in holders)


def _said(what: str) -> Finding:
    remedy = "name who negotiates in the scenario, under [[workloads.negotiation.tenants]]."
    return Finding(severity="info", about=_LEVER, text=f"{what} {remedy}")
