"""The sockets of container engines: access to a socket is root access to the host."""

# Docker (and its adapters for Kubernetes), containerd, Podman, CRI-O, BuildKit.
ENGINE_SOCKETS = (
    *("docker.sock", "cri-dockerd.sock", "dockershim.sock"),
    *("containerd.sock", "containerd.sock.ttrpc", "podman.sock", "crio.sock", "buildkitd.sock"),
)


def is_engine_socket(path: str) -> bool:
    """Whether the name of a path is that of an engine's socket."""
    return path.rstrip("/").endswith(ENGINE_SOCKETS)
