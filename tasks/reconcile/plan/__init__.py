"""The reconciler: one pure function that turns what runs and what should run into typed operations."""
