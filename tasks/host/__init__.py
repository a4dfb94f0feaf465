"""Everything that touches the world: processes, the engine, files, git, the terminal."""
