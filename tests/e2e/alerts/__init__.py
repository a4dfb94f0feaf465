"""Faults planted in a stack that is watched, one for each alert, and what they need."""
