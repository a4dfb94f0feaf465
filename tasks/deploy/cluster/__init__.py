"""deploy.* where the profile says ORCHESTRATOR=kubernetes; nothing of it is loaded for a deploy to an engine."""
