"""The pure part of db.*."""
