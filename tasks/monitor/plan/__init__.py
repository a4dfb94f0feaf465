"""What the monitoring of a stack consists of: pure."""
