"""Works on a namespace of a cluster, through kubectl and helm."""
