"""What the GitOps agent decides: pure."""
