"""Incidents: faults in, symptoms out, and how they are looked into."""
