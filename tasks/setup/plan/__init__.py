"""The pure part of setup, doctor and check."""
