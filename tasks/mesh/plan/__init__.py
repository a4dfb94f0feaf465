"""Pure: what a cluster with a mesh says about the services of a project."""
