"""A link that can be cut: a TCP relay on loopback between a site and its server."""

import contextlib
import socket
import threading
from dataclasses import dataclass, field


@dataclass
class Link:
    """Relays connections to a port. While it is cut, nothing passes and nobody is told, as with a pulled cable."""

    to: int
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    whole: threading.Event = field(default_factory=threading.Event)
    ends: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.whole.set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return self.listener.getsockname()[1]

    def cut(self) -> None:
        self.whole.clear()

    def mend(self) -> None:
        """Let new connections pass; those of before are lost, as behind a router that forgot them."""
        before, self.ends = self.ends, []
        for end in before:
            _close(end)
        self.whole.set()

    def _accept(self) -> None:
        while True:
            near, _ = self.listener.accept()
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        self.ends.append(near)
        self.whole.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self.to))
        except OSError:
            _close(near)
            return
        self.ends.append(far)
        threading.Thread(target=self._pass, args=(near, far), daemon=True).start()
        self._pass(far, near)

    def _pass(self, out_of: socket.socket, into: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := out_of.recv(65536):
                self.whole.wait()
                into.sendall(content)
        _close(out_of)
        _close(into)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
