"""Releases: their history, their records, promotion and publishing."""
