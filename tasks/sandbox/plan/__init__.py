"""The pure part of throw-away containers."""
