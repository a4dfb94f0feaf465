"""Tests on a real Kubernetes cluster of one node, made for the tests and gone after them."""
