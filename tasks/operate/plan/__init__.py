"""The pure part of logs, shell, ps and clean."""
