"""What services say about Kubernetes under x-slipway."""
