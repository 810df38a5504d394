"""What every answer has in common: the key is checked, headers are set, and the request is counted."""

from __future__ import annotations

import hmac
import json
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import ClientDisconnect

from elmo_tagger.serve.problems import Problem

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

LOG = logging.getLogger("elmo_tagger.serve")
OPEN_PATHS = frozenset({"/health", "/ready", "/docs", "/openapi.json"})
"""What is answered without the key, as is the page with its files: none of it has to do with a text."""
_HEADERS_OF_ALL = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
_HEADERS = [(name.encode(), value.encode()) for name, value in _HEADERS_OF_ALL.items()]
_CLIENT_LEFT = 499  # nginx's number for a request that nobody waits for


class Envelope:
    """ASGI middleware around all routes.

    No text is logged: of a request the route, the status and the time; of a bug its kind and its place in the code,
    without its message, which may quote what was being worked on.

    Args:
        app: The application within.
        api_key: What clients must show, as `Authorization: Bearer KEY` or `X-API-Key: KEY`; None for no key.
        answered: Is told route, status and seconds of each answer.
        log_requests: Whether each is logged.
    """

    def __init__(
        self,
        app: Application,
        *,
        api_key: str | None,
        answered: Callable[[str, int, float], None],
        log_requests: bool,
    ) -> None:
        self._app = app
        self._api_key = api_key
        self._answered = answered
        self._log_requests = log_requests

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin, status = time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        try:
            self._check_key(scope)
            await self._app(scope, receive, send_with_headers)
        except Problem as problem:
            await send_problem(problem, send_with_headers)
        except ClientDisconnect:
            status = _CLIENT_LEFT
        except Exception as error:
            LOG.error("%s at %s", type(error).__name__, _place(error))
            if not status:
                await send_problem(Problem(500, "an error of the service's own; its log says where"), send_with_headers)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            seconds = time.perf_counter() - begin
            self._answered(route, status or _CLIENT_LEFT, seconds)
            if self._log_requests:
                LOG.info("%s %s %d %.1f ms", scope["method"], route, status or _CLIENT_LEFT, 1000 * seconds)

    def _check_key(self, scope: Message) -> None:
        if self._api_key is None or scope["path"] in OPEN_PATHS or (scope["method"] == "GET" and _is_page(scope)):
            return
        headers = dict(scope["headers"])
        shown = headers.get(b"x-api-key") or headers.get(b"authorization", b"").removeprefix(b"Bearer ")
        if not hmac.compare_digest(shown, self._api_key.encode()):
            message = "expected the key of this service, as Authorization: Bearer KEY or X-API-Key: KEY"
            raise Problem(401, message, headers={"WWW-Authenticate": "Bearer"})


def _is_page(scope: Message) -> bool:
    path: str = scope["path"]
    return path == "/" or path.startswith("/page/")


async def send_problem(problem: Problem, send: Send) -> None:
    """Answer with a refusal."""
    try:
        body = json.dumps(problem.to_json(), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        body = json.dumps(problem.to_json()).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **problem.headers}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " <- ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames[-5:]))
