"""Hints up, notices down, prices out: what platform and VMs agree on."""
