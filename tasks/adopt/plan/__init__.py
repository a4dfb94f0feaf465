"""Decides what an adopted project gets, and what it lacks."""
