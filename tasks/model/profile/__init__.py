"""Profiles: their grammar, their keys, and how layers become values."""
