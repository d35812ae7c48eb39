"""Compound AI jobs: task graphs that run on shared models and tools."""
