"""uvicorn's server, which loses no connection when it stops."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from uvicorn import Server

from core.asgi.draining import is_draining

ACCEPTED: Final = 4096  # most connections to take at the end, above the queue's length


class DrainingServer(Server):
    """Stops as uvicorn does, and also serves connections that clients have made but it has not
    accepted yet. The kernel would reset them: a proxy that has sent its request must not send it
    again to another machine, and answers 502.

    When draining has not begun, stopping is quicker, and they are reset.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        listeners = [listener.dup() for listener in sockets or ()] if is_draining() else []
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)  # the event loop stops accepting
        for listener in sockets or ():
            listener.close()
        waiting = [connection for listener in listeners for connection in _accept_all(listener)]
        for connection in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn makes it
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def _accept_all(listener: socket.socket) -> list[socket.socket]:
    """Close a listening socket right after accepting the connections that wait in its queue."""
    listener.setblocking(False)
    accepted: list[socket.socket] = []
    with listener:
        try:
            while len(accepted) < ACCEPTED:
                connection, _address = listener.accept()
                accepted.append(connection)
        except OSError:  # none is left, or there are no descriptors left
            pass
    for connection in accepted:
        connection.setblocking(False)
    return accepted
