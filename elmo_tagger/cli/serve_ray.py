"""The same application on many machines, through Ray Serve: it starts replicas, balances, and replaces dead ones."""

from __future__ import annotations

import signal
import threading
from typing import Any

from elmo_tagger.cli.tag_ray import load_tagger
from elmo_tagger.serve.application import build_application
from elmo_tagger.serve.settings import Settings
from elmo_tagger.vectors.ray_job import import_ray

NAME = "elmo-tagger"
_REQUESTS_A_REPLICA = 32  # at once, above which another replica is started
_MOST_AT_ONCE = 512  # that one replica is given; its queue of tokens refuses earlier


def serve_with_ray(
    model: str,
    load_options: dict[str, Any],
    settings: Settings,
    *,
    name: str,
    host: str,
    port: int,
    replicas: int,
    max_replicas: int | None = None,
) -> None:
    """Start, or replace, the application on the cluster of `RAY_ADDRESS`, or on one of this machine alone.

    Where it runs already, its replicas are replaced one after the other by those of this model, and requests are
    answered all the while.

    Args:
        model: What replicas load; all machines must see it under this name.
        load_options: Of `load_tagger`.
        settings: The limits of each replica.
        name: Of the model, as clients are told it.
        host: Where Ray listens for requests.
        port: The same.
        replicas: How many.
        max_replicas: If given, there are between `replicas` and this many, by the number of requests.

    Raises:
        OutputError: Ray is not installed.
    """
    ray = import_ray()
    from ray import serve

    if not ray.is_initialized():
        ray.init(log_to_driver=False, include_dashboard=False)
    serve.start(http_options={"host": host, "port": port})

    def application() -> Any:
        return build_application(load_tagger(model, load_options), settings, name=name)

    number: dict[str, Any] = {"num_replicas": replicas}
    if max_replicas is not None:
        number = {
            "autoscaling_config": {
                "min_replicas": replicas,
                "max_replicas": max_replicas,
                "target_ongoing_requests": _REQUESTS_A_REPLICA,
            }
        }
    gpus = 0 if load_options.get("device") == "cpu" else int(ray.cluster_resources().get("GPU", 0))
    deployment = serve.deployment(
        name=NAME,
        max_ongoing_requests=_MOST_AT_ONCE,
        graceful_shutdown_timeout_s=settings.timeout,
        ray_actor_options={"num_cpus": 1, "num_gpus": 1 if gpus else 0},
        **number,
    )(serve.ingress(application)())
    serve.run(deployment.bind(), name=NAME, route_prefix="/")


def wait_for_a_signal() -> None:
    """Until SIGTERM or Ctrl-C; then a cluster that was begun here ends."""
    from ray import serve

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, frame: ended.set())
    ended.wait()
    serve.shutdown()  # type: ignore[no-untyped-call]
