"""What a task tells people while it works: events, and how they read on a terminal, in a log and as JSON."""
