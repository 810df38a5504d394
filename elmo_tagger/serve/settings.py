"""The limits of a service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a service refuses, and how it batches.

    Attributes:
        max_body_bytes: Of a request.
        max_tokens: Of a request, all its documents together.
        max_documents: Of a request.
        max_waiting_tokens: Of all requests that wait for the network; what would exceed it is refused.
        max_batch_tokens: That the network is given at once, so what a short request waits for at most.
        batch_wait: Seconds to wait for company before a batch that is not full.
        timeout: Seconds from the request's first byte to its answer.
        api_key: What clients must show; None for no key.
        log_requests: Whether each request is logged: route, status and time, never a text.
    """

    max_body_bytes: int = 2**20
    max_tokens: int = 50_000
    max_documents: int = 1024
    max_waiting_tokens: int = 200_000
    max_batch_tokens: int = 1024
    batch_wait: float = 0.002
    timeout: float = 30.0
    api_key: str | None = None
    log_requests: bool = False
