"""The pure part of releases."""
