"""Pure: what is on a cluster, compared with what should be there, and in words."""
