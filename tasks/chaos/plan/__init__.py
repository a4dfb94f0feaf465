"""The pure part of faults and experiments."""
