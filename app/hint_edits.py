"""Hints that are edited on the page: in the URL, in a scenario, in words."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from twin.workloads.negotiation import keys

# Workload -> what is said otherwise: ``class`` (its template) and hints by key, as a scenario writes them.
Edits = dict[str, dict[str, Any]]
CLASS: Final = "class"
# What can be said on the page of each key, in words; the first is what the template says.
CHOICES: Final[Mapping[str, Mapping[str, Any]]] = {
    "stateless": {"none": "none", "partly": "partial", "fully": "full"},
    "scale_up_down": {"no": False, "yes": True},
    "scale_out_in": {"no": False, "yes": True},
    "deploy_time_s": {"within a minute": 60, "ten minutes will do": 600},
    "availability_nines": {"two nines": 2, "three nines": 3, "four nines": 4, "five nines": 5},
    "preemptible": {"no": False, "yes": True},
    "delay_tolerance_s": {"not at all": 0, "an hour": 3600, "eight hours": 28_800},
    "region_independence": {"none": "none", "partly": "partial", "fully": "full"},
    "data_residency": {"no": False, "yes": True},
}
LABELS: Final[Mapping[str, str]] = {
    "stateless": "Keeps no state",
    "scale_up_down": "May have more or fewer cores",
    "scale_out_in": "May have more or fewer VMs",
    "deploy_time_s": "A new VM must be there",
    "availability_nines": "Needs availability of",
    "preemptible": "VMs may be evicted",
    "delay_tolerance_s": "Work may wait",
    "region_independence": "May run in another region",
    "data_residency": "Data must stay here",
}
_WORD: Final = re.compile(r"^[\w.-]+$")


def written(edits: Edits) -> str:
    """Return edits as one word of a URL; empty for none.

    >>> written({"dev-test": {"class": "identity", "preemptible": True}})
    'dev-test:class=identity,preemptible=yes'
    """
    one = {workload: ",".join(f"{key}={_text(value)}" for key, value in said.items()) for workload, said in edits.items() if said}
    return ";".join(f"{workload}:{said}" for workload, said in one.items())


def read(text: str, workloads: Sequence[str], classes: Sequence[str]) -> Edits:
    """Return the edits of a URL; what is no workload, class, key or value there is left out.

    >>> read("dev-test:class=identity,preemptible=yes,x=1;nobody:preemptible=no", ["dev-test"], ["identity"])
    {'dev-test': {'class': 'identity', 'preemptible': True}}
    """
    found: Edits = {}
    for part in text[:2000].split(";"):
        workload, _, said = part.partition(":")
        if workload not in workloads:
            continue
        for item in said.split(","):
            key, _, value = item.partition("=")
            if key == CLASS and value in classes:
                found.setdefault(workload, {})[key] = value
            elif key in CHOICES and (match := [each for each in CHOICES[key].values() if _text(each) == value]):
                found.setdefault(workload, {})[key] = match[0]
    return found


def _text(value: Any) -> str:
    text = ("no", "yes")[value] if isinstance(value, bool) else str(value)
    return text if _WORD.match(text) else ""


def of(tenant: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the class of a tenant and what its scenario says over it."""
    return str(tenant.get("class") or tenant.get("workload_class") or ""), dict(tenant.get("hints") or {})


def changed(tenant: Mapping[str, Any], edit: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tenant with an edit: another class, and hints by key over those that it has.

    Who may be evicted says so of all its VMs at once, and then needs less than four nines; the platform takes no hint that contradicts
    another one.
    """
    name, hints = of(tenant)
    said = {key: value for key, value in edit.items() if key != CLASS}
    if "preemptible" in said:
        said["preemptibility_share"] = 1 if said["preemptible"] else 0
    if said.get("preemptible") and "availability_nines" not in {**hints, **said}:
        said["availability_nines"] = 3
    return {"id": tenant["id"], "class": edit.get(CLASS, name), "hints": {**hints, **said}} | {
        key: tenant[key] for key in ("deployments", "agent") if tenant.get(key) is not None
    }


def words(edits: Edits) -> str:
    """Return edits in words, workload by workload.

    >>> words({"dev-test": {"class": "identity", "preemptible": False}})
    'dev-test: class identity, preemptible no'
    """
    told = []
    for workload, said in edits.items():
        parts = [f"class {said[CLASS]}"] if CLASS in said else []
        parts += [f"{key} {keys.shown(key, keys.value(key, value))}" for key, value in said.items() if key != CLASS]
        told.append(f"{workload}: {', '.join(parts)}")
    return "; ".join(told)
