"""The pure part of deploy.*."""
