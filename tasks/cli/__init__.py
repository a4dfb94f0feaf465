"""Starts Invoke's program, with our error messages and exit codes."""
