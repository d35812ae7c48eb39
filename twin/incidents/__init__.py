"""Incidents: faults in, symptoms and incidents out; how they are looked into."""
