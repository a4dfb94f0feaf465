"""The world: processes, the engine, files, the terminal, the deploy lock, the project."""
