"""The pure part of build.*."""
