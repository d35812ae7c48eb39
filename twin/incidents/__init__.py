"""Incidents: what broke, what it did to others, and who is to blame."""
