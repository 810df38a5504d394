"""`elmo-tagger serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from elmo_tagger.errors import ElmoTaggerError

_VARIABLE = "ELMO_TAGGER_"


def serve(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", envvar=f"{_VARIABLE}MODEL", help="en, an archive, directory of a run, or model folder."
        ),
    ],
    host: Annotated[
        str, typer.Option(envvar=f"{_VARIABLE}HOST", help="Address to listen at; 0.0.0.0 for all of this machine's.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar=f"{_VARIABLE}PORT", min=0, max=65535, help="0 for one that is free.")
    ] = 8000,
    api_key: Annotated[
        Optional[str],
        typer.Option(envvar=f"{_VARIABLE}API_KEY", help="What clients must show; better set as the variable."),
    ] = None,
    max_batch_tokens: Annotated[
        int, typer.Option(envvar=f"{_VARIABLE}MAX_BATCH_TOKENS", min=1, help="Tokens that are computed together.")
    ] = 1024,
    batch_wait_ms: Annotated[
        float, typer.Option(envvar=f"{_VARIABLE}BATCH_WAIT_MS", min=0, help="How long a batch waits for company.")
    ] = 2.0,
    max_tokens: Annotated[
        int, typer.Option(envvar=f"{_VARIABLE}MAX_TOKENS", min=1, help="Tokens of a request; more are refused (413).")
    ] = 50_000,
    max_body_bytes: Annotated[
        int,
        typer.Option(envvar=f"{_VARIABLE}MAX_BODY_BYTES", min=1, help="Bytes of a request; more are refused (413)."),
    ] = 2**20,
    max_waiting_tokens: Annotated[
        int, typer.Option(envvar=f"{_VARIABLE}MAX_WAITING_TOKENS", min=1, help="Tokens in the queue; then 429.")
    ] = 200_000,
    timeout: Annotated[
        float, typer.Option(envvar=f"{_VARIABLE}TIMEOUT", min=0.001, help="Seconds to an answer; then 504.")
    ] = 30.0,
    language: Annotated[
        Optional[str], typer.Option(envvar=f"{_VARIABLE}LANGUAGE", help="Whose word rules split text: en, de, xx ...")
    ] = None,
    device: Annotated[
        Optional[str],
        typer.Option(envvar=f"{_VARIABLE}DEVICE", help="cpu, cuda, cuda:1 ... (default: a GPU if there is one)."),
    ] = None,
    options: Annotated[
        Optional[str], typer.Option(help="options.json of the biLM, for old archives without it.")
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Run replicas through Ray Serve; RAY_ADDRESS says where.")] = False,
    replicas: Annotated[int, typer.Option(min=1, help="For --ray: how many.")] = 1,
    max_replicas: Annotated[
        Optional[int], typer.Option(min=1, help="For --ray: up to this many, by the number of requests.")
    ] = None,
    log_requests: Annotated[
        bool, typer.Option("--log-requests", help="Log route, status and time of each request; never a text.")
    ] = False,
) -> None:
    """Answer requests over HTTP, with a page for browsers at /."""
    try:
        from elmo_tagger.serve import application, server
    except ImportError as error:
        raise ElmoTaggerError(f"serving needs {error.name}: run `pip install 'elmo-tagger[serve]'`") from error
    from elmo_tagger.cli.tag_ray import load_tagger
    from elmo_tagger.serve.settings import Settings

    settings = Settings(
        max_body_bytes=max_body_bytes,
        max_tokens=max_tokens,
        max_waiting_tokens=max_waiting_tokens,
        max_batch_tokens=max_batch_tokens,
        batch_wait=batch_wait_ms / 1000,
        timeout=timeout,
        api_key=api_key or None,
        log_requests=log_requests,
    )
    load_options = {"device": device, "language": language, "options_file": options}
    if ray:
        from elmo_tagger.cli.serve_ray import serve_with_ray, wait_for_a_signal

        load_tagger(model, load_options)  # what is wrong with it is known here, not in the log of a replica
        path = str(Path(model).resolve()) if Path(model).exists() else model
        serve_with_ray(
            path,
            load_options,
            settings,
            name=Path(model).name,
            host=host,
            port=port,
            replicas=replicas,
            max_replicas=max_replicas,
        )
        typer.echo(f"serving {model} at http://{host}:{port}, by Ray's replicas")
        wait_for_a_signal()
        return
    with server.listen(host, port) as bound:
        tagger = load_tagger(model, load_options)
        tagger("Ready.")
        app = application.build_application(tagger, settings, name=Path(model).name)
        bound.listen(server.BACKLOG)  # whoever reads the next line may connect
        where, number = bound.getsockname()[:2]
        typer.echo(f"serving {model} at http://{f'[{where}]' if ':' in where else where}:{number}")
        server.serve(app, bound, grace=timeout)
