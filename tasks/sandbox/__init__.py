"""Throw-away containers that run a check."""
