"""The sockets of container engines: who reaches one is root on the host."""

# Docker (and what speaks for it to Kubernetes), containerd, Podman, CRI-O, BuildKit.
ENGINE_SOCKETS = (
    *("docker.sock", "cri-dockerd.sock", "dockershim.sock"),
    *("containerd.sock", "containerd.sock.ttrpc", "podman.sock", "crio.sock", "buildkitd.sock"),
)


def is_engine_socket(path: str) -> bool:
    """Whether a path is by its name the socket of an engine."""
    return path.rstrip("/").endswith(ENGINE_SOCKETS)
