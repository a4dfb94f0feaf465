"""What is asked for these views, what it means, and how it is drawn: pure."""
