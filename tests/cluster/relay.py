"""Connections that are handed on: what listens on 127.0.0.1 of this machine can be reached from the node."""

import contextlib
import select
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def relayed(address: str, port: int) -> Iterator[None]:
    """Hand connections to a port of ``address`` on to the same port of 127.0.0.1, in a block."""
    with socket.create_server((address, port)) as server:
        thread = threading.Thread(target=_serve, args=(server, port), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(server: socket.socket, port: int) -> None:
    with contextlib.suppress(OSError):  # closed: the block has ended
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_hand_on, args=(connection, port), daemon=True).start()


def _hand_on(one: socket.socket, port: int) -> None:
    """Copy in both directions until both sides have ended; the end of a side is told to the other, which may answer."""
    with contextlib.suppress(OSError), one, socket.create_connection(("127.0.0.1", port)) as other:
        targets, open_ = {one: other, other: one}, {one, other}
        while open_:
            for source in select.select(list(open_), [], [])[0]:
                if data := source.recv(1 << 16):
                    targets[source].sendall(data)
                else:
                    open_.remove(source)
                    targets[source].shutdown(socket.SHUT_WR)
