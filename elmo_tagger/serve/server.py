"""One process that serves an application: uvicorn, with bounds on what precedes a request's body."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import socket

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 2**16
HEAD_SECONDS = 20.0
KEEP_ALIVE_SECONDS = 75  # for a client's next request; longer than proxies wait, or one might use what is just closing
BACKLOG = 2048  # clients that have connected and wait to be heard


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol, which alone would wait for ever for the end of the headers, and keep any number of them."""

    _head_bytes = 0
    _in_head = True
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has left."""
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """It has sent something."""
        super().data_received(data)
        self._head_bytes += len(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"The headers exceed {MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._begin_head()

    def on_headers_complete(self) -> None:
        """Its headers have ended."""
        self._end_head()
        super().on_headers_complete()

    def _begin_head(self) -> None:
        self._in_head, self._head_bytes = True, 0
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _end_head(self) -> None:
        self._in_head = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound, so that an address that is taken is known before a model is loaded.

    Raises:
        OSError: It cannot be had.
    """
    bound = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        if bound is not None:
            bound.close()
        raise OSError(error.errno, error.strerror or str(error), f"{host}:{port}") from None
    return bound


def serve(app: FastAPI, bound: socket.socket, *, grace: float) -> None:
    """Answer requests until SIGTERM or Ctrl-C; then those that were accepted are finished.

    Args:
        app: The application.
        bound: Where it listens.
        grace: Seconds that requests have to finish; for ever would wait for clients that never read.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("elmo_tagger.serve").setLevel(logging.INFO)
    # uvicorn raises the signal again when it is done, which is no failure
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    build_server(app, grace=grace).run(sockets=[bound])


def build_server(app: FastAPI, *, grace: float) -> uvicorn.Server:
    """A server of an application, yet to be run; see `serve`."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=BoundedHttp,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=math.ceil(grace),
        )
    )
