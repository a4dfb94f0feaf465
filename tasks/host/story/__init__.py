"""Tells people what a task does while it works."""
