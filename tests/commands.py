"""`allennlp` and `elmo-tagger` for tests: each command a process, forked from one that has imported AllenNLP.

A command that starts as its users start it spends ten seconds or more of processor time on imports. Here a server
imports once. A client, which imports little, sends it its arguments, directory, environment and open files, and ends
as the command ends. What is printed while AllenNLP is imported is not seen this way: `test_readme.py` starts one
command in full, and so does `.ci/smoke`.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = {
    "allennlp": "allennlp.__main__:run",
    "elmo-tagger": "elmo_tagger.cli:main",
    "python": "tests.commands:run_python",
}
CLIENT = '#!/bin/sh\nexec "{python}" -S -E "{file}" "{address}" {program} "$@"\n'
MAX_BYTES = 2**20  # of a message: a command's arguments and environment


@contextlib.contextmanager
def served() -> Iterator[Path]:
    """A directory for the PATH, with the programs, `python` among them, whose server lives as long as the context."""
    # not pytest's own directories: the path of a socket may have some 100 characters
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listening:
        address = Path(directory) / "socket"
        for program in PROGRAMS:
            path = Path(directory) / program
            path.write_text(
                CLIENT.format(python=sys.executable, file=Path(__file__).resolve(), address=address, program=program)
            )
            path.chmod(0o755)
        # The server is handed the open socket, so that clients may come before it is ready.
        listening.bind(str(address))
        listening.listen()
        command = [sys.executable, "-m", "tests.commands", str(listening.fileno())]
        root = Path(__file__).parent.parent
        with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listening.fileno()], cwd=root):
            yield Path(directory)  # afterwards the server's input ends, and so does the server


def serve(listening: socket.socket) -> tuple[str, list[str]]:
    """Fork a process for each client.

    Returns:
        In that process, the program to run and its arguments.
    """
    import_all()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for what is forked here
    while True:
        ready, _, _ = select.select([listening, sys.stdin], [], [])
        if sys.stdin in ready:
            os._exit(0)
        connection, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            return become_command(connection)
        connection.close()


# What looks at the command when it is imported, and is imported by each command itself; as the plugin is.
LOOKING_AT_THE_COMMAND = ("allennlp.commands", "allennlp.common.plugins")
UNWANTED = {"allennlp.sanity_checks", "allennlp.tools"}  # AllenNLP leaves them out too


def import_all() -> None:
    """Import what every `allennlp` command does, except the plugin."""
    import torch.multiprocessing
    from allennlp.common import util

    look_for_modules = util.import_module_and_submodules
    look_for_modules("allennlp", UNWANTED)
    for name in ("allennlp_models", "elmo_tagger.bilm", "elmo_tagger.tagging"):
        look_for_modules(name)
    for name in LOOKING_AT_THE_COMMAND:
        del sys.modules[name]

    def unless_imported(package_name: str, exclude: set[str] | None = None) -> None:
        if package_name not in ("allennlp", "allennlp_models"):
            look_for_modules(package_name, exclude)

    util.import_module_and_submodules = unless_imported  # it looks at 500 files each time
    # The processes of a distributed training are forked too.
    torch.multiprocessing.spawn = functools.partial(torch.multiprocessing.start_processes, start_method="fork")
    # Of memory that a forked process only reads there is no copy: the collector would write to each object.
    gc.collect()
    gc.freeze()


def become_command(connection: socket.socket) -> tuple[str, list[str]]:
    """Turn this process into what a client asks for, and leave one behind that tells the client how it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, files, _, _ = socket.recv_fds(connection, MAX_BYTES, 3)
    while not message.endswith(b"\n"):
        message += connection.recv(MAX_BYTES)
    program, arguments, directory, environment = json.loads(message)
    process = os.fork()
    if process:
        connection.sendall(b"%d\n" % process)
        _, status = os.waitpid(process, 0)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    connection.close()
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1, errors="backslashreplace")
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    return program, arguments


def leave(statuses: list[int]) -> None:
    """Ends a command that has a status, without the clearing of modules, which writes to all of their memory.

    Registered before all others, it is called last at the end of the interpreter.
    """
    if statuses:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(statuses[0])


def run_python() -> None:
    """`python FILE` and `python -c CODE`, in the folder of what they import."""
    sys.path.insert(0, str(Path.cwd()))
    if sys.argv[1] == "-c":
        exec(sys.argv[2], {"__name__": "__main__"})
    else:
        runpy.run_path(sys.argv[1], run_name="__main__")


def ask(address: str, program: str, arguments: list[str]) -> int:
    """What a client does: have a command run, pass signals on to it, and return its status."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        message = json.dumps([program, arguments, str(Path.cwd()), dict(os.environ)]) + "\n"
        socket.send_fds(connection, [message.encode()], [0, 1, 2])
        with connection.makefile("rb") as answers:
            process = int(answers.readline())
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda received, _: os.kill(process, received))
            return int(answers.readline())


if __name__ == "__main__":
    if len(sys.argv) == 2:
        statuses: list[int] = []
        atexit.register(leave, statuses)
        program, arguments = serve(socket.socket(fileno=int(sys.argv[1])))
        sys.argv[:] = [str(Path(sys.executable).parent / program), *arguments]
        module, _, function = PROGRAMS[program].partition(":")
        try:
            status = getattr(importlib.import_module(module), function)()
        except SystemExit as end:
            status = end.code
        if status is None or isinstance(status, int):
            statuses.append(status or 0)
    else:
        status = ask(sys.argv[1], sys.argv[2], sys.argv[3:])
        if status < 0:
            signal.signal(-status, signal.SIG_DFL)
            os.kill(os.getpid(), -status)
    sys.exit(status)
