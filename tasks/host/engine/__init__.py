"""The only room that uses the Docker SDK."""
