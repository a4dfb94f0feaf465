"""Where the mounts of a service have their files: in claims, in the Pod, in memory, in ConfigMaps."""
