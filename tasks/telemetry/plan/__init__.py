"""What is asked of the stores, and what their answers mean: pure."""
