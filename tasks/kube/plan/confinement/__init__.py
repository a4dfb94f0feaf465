"""What a container may do, and how much of its node it may use."""
