"""Runs, ledger, telemetry and importers: all that is kept."""
