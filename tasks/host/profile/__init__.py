"""Reads profiles and Compose files from disk."""
