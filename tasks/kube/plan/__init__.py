"""Pure: from the Compose model of a release to Kubernetes objects."""
