"""Weeks of releases: real commits on real stacks, while clients read and write rows."""
