"""What we make for platforms that run on a cluster, on the real ones, built from their Go modules.

Only ``inv check --only platforms`` runs them: the builds take minutes of two cores.
"""
