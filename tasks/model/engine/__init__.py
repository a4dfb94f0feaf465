"""Data of the engine: containers, images, networks, volumes."""
