"""What people look at: the figures of services in the terminal, and as a page."""
