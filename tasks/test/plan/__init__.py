"""The pure part of test.*."""
