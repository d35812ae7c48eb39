"""Frames to figures, by kind of figure."""
