"""Readers: text in, Intent out."""
