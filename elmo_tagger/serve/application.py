"""The routes of a service, as an ASGI application."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import torch
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

from elmo_tagger import __version__
from elmo_tagger.serve import forms
from elmo_tagger.serve.bodies import Given, HuggingFaceRequest
from elmo_tagger.serve.envelope import Application, Envelope, Message, Receive, Send
from elmo_tagger.serve.problems import Problem
from elmo_tagger.serve.service import Service, to_bytes
from elmo_tagger.serve.settings import Settings
from elmo_tagger.tagger import Tagger

_PAGE = Path(__file__).parent / "page"
_TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript"}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"description": "The key is missing or wrong."},
    408: {"description": "The body did not come in time."},
    413: {"description": "Too large: bytes, tokens or documents."},
    422: {"description": "The body is not as expected; `field` says where."},
    429: {"description": "Too many tokens wait; `Retry-After` says when to try again."},
    504: {"description": "The answer took too long."},
}
REFUSALS: dict[int | str, dict[str, Any]] = {key: {**value, "model": forms.Refusal} for key, value in _REFUSALS.items()}


def build_application(tagger: Tagger, settings: Settings, *, name: str) -> FastAPI:
    """An application that tags.

    Args:
        tagger: The tagger.
        settings: Its limits.
        name: Of the model, as clients are told it.
    """
    service = Service(tagger, settings)

    def lifespan(app: FastAPI) -> AbstractAsyncContextManager[None]:
        return service.running()

    app = FastAPI(
        title="elmo-tagger",
        version=__version__,
        summary=f"Entities in texts, found by {name}.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    tagging: dict[str, APIRoute] = {}
    app.add_middleware(Shortcut, routes=tagging)  # within the envelope, which is added after it
    app.add_middleware(
        Envelope,
        api_key=settings.api_key,
        answered=service.metrics.answered,
        log_requests=settings.log_requests,
    )
    app.add_exception_handler(HTTPException, _as_problem)
    _add_tagging(app, service)
    tagging.update((route.path, route) for route in app.routes if isinstance(route, APIRoute))
    _add_state(app, service, name)
    _add_page(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


class Shortcut:
    """ASGI middleware that calls some endpoints itself: FastAPI's way to them takes as long as reading a request.

    Args:
        app: The application within, for all other requests.
        routes: Of POST, by their path, of endpoints that take a request and give a response.
    """

    def __init__(self, app: Application, *, routes: Mapping[str, APIRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        route = self._routes.get(scope["path"]) if scope.get("method") == "POST" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        response: Response = await route.endpoint(Request(scope, receive))
        await response(scope, receive, send)


async def _as_problem(request: Request, error: Exception) -> Response:
    """What the router itself refuses: an unknown path, a wrong method."""
    assert isinstance(error, HTTPException)
    return _json(Problem(error.status_code, error.detail).to_json(), status=error.status_code, headers=error.headers)


def _json(value: Any, *, status: int = 200, headers: Any = None) -> Response:
    return Response(to_bytes(value), status, headers=headers, media_type="application/json")


def _add_tagging(app: FastAPI, service: Service) -> None:
    def body(model: type) -> dict[str, Any]:
        schema = {"$ref": f"#/components/schemas/{model.__name__}"}
        return {"required": True, "content": {"application/json": {"schema": schema}}}

    @app.post(
        "/predict",
        response_model=forms.Answer,
        responses=REFUSALS,
        openapi_extra={"requestBody": body(Given)},
        summary="Tag a document",
    )
    async def predict(request: Request) -> Response:
        return Response(await service.answer(request, forms.one), media_type="application/json")

    schema = {"type": "array", "items": {"$ref": "#/components/schemas/Given"}}
    many = {"required": True, "content": {"application/json": {"schema": schema}}}

    @app.post(
        "/predict_batch",
        response_model=list[forms.Answer],
        responses=REFUSALS,
        openapi_extra={"requestBody": many},
        summary="Tag several documents",
    )
    async def predict_batch(request: Request) -> Response:
        return Response(await service.answer(request, forms.several), media_type="application/json")

    @app.post(
        "/",
        response_model=list[forms.Row] | list[list[forms.Row]],
        responses=REFUSALS,
        openapi_extra={"requestBody": body(HuggingFaceRequest)},
        summary="Tag as Hugging Face's token classification does",
    )
    async def token_classification(request: Request) -> Response:
        return Response(await service.answer(request, forms.hugging_face), media_type="application/json")


def _add_state(app: FastAPI, service: Service, name: str) -> None:
    @app.get("/health", summary="Whether the process lives")
    async def health() -> Response:
        return _json({"status": "ok"})

    @app.get("/ready", summary="Whether requests are taken", responses={503: {"description": "Not at the moment."}})
    async def ready() -> Response:
        return _json({"status": "ready"}) if service.is_ready else _json({"status": "busy"}, status=503)

    @app.get("/info", summary="Model, labels, versions and limits")
    async def info() -> Response:
        tagger, settings = service.tagger, service.settings
        return _json(
            {
                "model": name,
                "labels": tagger.labels,
                "tags": tagger.tags,
                "language": tagger.config.language,
                "device": str(tagger.device),
                "data": list(tagger.card.data),
                "scores": tagger.card.scores,
                "license": tagger.card.license,
                "versions": {
                    "elmo_tagger": __version__,
                    "torch": torch.__version__,
                    "python": platform.python_version(),
                },
                "limits": {
                    "body_bytes": settings.max_body_bytes,
                    "tokens": settings.max_tokens,
                    "documents": settings.max_documents,
                    "seconds": settings.timeout,
                },
            }
        )

    @app.get("/metrics", summary="Prometheus's metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=1.0.0; charset=utf-8")


def _add_page(app: FastAPI) -> None:
    files = {path.name: (path.read_bytes(), _TYPES[path.suffix]) for path in _PAGE.iterdir() if path.suffix in _TYPES}

    def page(name: str) -> Response:
        content, kind = files[name]
        return Response(content, headers={"content-type": kind, "vary": "accept"})

    @app.get("/", include_in_schema=False)
    async def start(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return page("index.html")
        return _json({"service": "elmo-tagger", "tag": "POST /predict", "more": "/docs"})

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return page("docs.html")

    @app.get("/page/{name}", include_in_schema=False)
    async def file(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        return page(name)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's own, with the bodies, which the service reads itself."""
    if not app.openapi_schema:
        schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        _, definitions = models_json_schema(
            [(Given, "validation"), (HuggingFaceRequest, "validation")], ref_template="#/components/schemas/{model}"
        )
        schema["components"]["schemas"].update(definitions["$defs"])
        app.openapi_schema = schema
    return app.openapi_schema
