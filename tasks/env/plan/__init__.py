"""What profiles are made of, and what becomes of their lines: pure."""
