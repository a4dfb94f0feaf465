"""Objects as text: YAML, kustomize's base and overlays."""
