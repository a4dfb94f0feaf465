"""Kinds of proxies: what their settings are by default, and how each of them names its servers."""
