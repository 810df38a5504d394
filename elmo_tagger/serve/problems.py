"""The refusals of a service: what a client did that cannot be answered, and with which status it is told."""

from __future__ import annotations


class Problem(Exception):
    """A request that is refused.

    Args:
        status: Of HTTP.
        message: What was expected and what was received. Only the client sees it.
        field: Of the body, such as `tokens[3]`, if one is wrong.
        headers: Of the answer.
    """

    def __init__(
        self, status: int, message: str, *, field: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field
        self.headers = headers or {}

    def to_json(self) -> dict[str, str]:
        """The body of the answer."""
        return {"error": self.message} | ({"field": self.field} if self.field is not None else {})


def too_many_tokens(limit: int, received: int) -> Problem:
    """413: a request of more tokens than a service takes at once."""
    return Problem(413, f"expected at most {limit:,} tokens a request, received {received:,}")


def queue_full(limit: int, seconds: int) -> Problem:
    """429: as many tokens wait as may."""
    message = f"{limit:,} tokens may wait, and do: try again in {seconds} s"
    return Problem(429, message, headers={"Retry-After": str(seconds)})


def too_slow_a_body(seconds: float) -> Problem:
    """408: the request took too long."""
    return Problem(408, f"expected the whole body within {seconds:g} s")


def too_slow(seconds: float) -> Problem:
    """504: the answer took too long."""
    return Problem(504, f"no answer within {seconds:g} s")
