"""Reads what the monitoring of a stack has stored: metrics, alerts, traces."""
