"""What a command may destroy: nothing; and what it leaves when it fails: nothing."""

import errno
import gzip
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from elmo_tagger.text import outputs
from elmo_tagger.text.outputs import Output, OutputError, Target, new_file, new_folder, new_path


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("kept")
    Path("data").mkdir()
    Path("data/d.txt").write_text("kept")


def names() -> set[str]:
    return {str(path) for path in Path().rglob("*")}


def write(target: Target, content: bytes, *, stop: type[BaseException] | None = None) -> None:
    with new_file(target) as file:
        file.write(content)
        if stop is not None:
            raise stop


def test_a_file_appears_only_when_it_is_complete() -> None:
    before = names()
    with new_file(Output("out.txt")) as file:
        file.write(b"whole")
        assert not Path("out.txt").exists()
    assert (names() - before, Path("out.txt").read_text()) == ({"out.txt"}, "whole")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there_and_nothing_else(error: type[BaseException]) -> None:
    before = names()
    for target in (Output("in.txt", force=True), Output("new.txt"), "in.txt"):
        with pytest.raises(error):
            write(target, b"half", stop=error)

    def fill() -> None:
        with new_folder("folder") as folder:
            (folder / "a").touch()
            raise error

    with pytest.raises(error):
        fill()
    assert (names(), Path("in.txt").read_text()) == (before, "kept")


def test_an_existing_file_is_replaced_only_by_force() -> None:
    with pytest.raises(OutputError, match=r"^in\.txt: exists already: expected another name, or --force$"):
        Output("in.txt")
    with new_file(Output("in.txt", force=True)) as file:
        file.write(b"new")
    assert Path("in.txt").read_text() == "new"


def linked(link: Callable[[str, str], None]) -> str:
    link(os.path.abspath("in.txt"), "link.txt")  # noqa: PTH100 - the link's text
    return "link.txt"


@pytest.mark.parametrize(
    "name",
    [
        lambda: "in.txt",
        lambda: "./data/../in.txt",
        lambda: linked(os.link),
        lambda: linked(os.symlink),
    ],
    ids=["itself", "another spelling", "hard link", "symbolic link"],
)
@pytest.mark.parametrize("force", [True, False])
def test_an_input_is_never_written_over(name: Callable[[], str], force: bool) -> None:
    with pytest.raises(OutputError, match="is an input: expected another name for what is written"):
        Output(name(), inputs=["data", "in.txt"], force=force)


@pytest.mark.parametrize("name", ["data/d.txt", "link.txt", "outside.txt"])
def test_a_part_of_an_input_is_never_written_over(name: str) -> None:
    Path("link.txt").symlink_to("data/d.txt")
    Path("outside.txt").touch()
    Path("data/inside.txt").symlink_to("../outside.txt")
    with pytest.raises(OutputError, match=r"is a part of the input data: expected another name"):
        Output(name, inputs=["data"], force=True)


def test_a_folder_takes_new_files_and_keeps_its_own() -> None:
    with new_folder(Output("data", folder=True)) as folder:
        (folder / "new.txt").write_text("new")
    assert {path.name for path in Path("data").iterdir()} == {"d.txt", "new.txt"}


@pytest.mark.parametrize(
    ("inputs", "force", "message"),
    [([], False, "exists already"), (["data"], True, "is a part of the input data")],
)
def test_no_file_of_a_folder_moves_where_one_stands_in_the_way(inputs: list[str], force: bool, message: str) -> None:
    before = names()

    def fill() -> None:
        with new_folder(Output("data", folder=True, inputs=inputs, force=force)) as folder:
            (folder / "a.txt").touch()
            (folder / "d.txt").touch()

    with pytest.raises(OutputError, match=message):
        fill()
    assert (names(), Path("data/d.txt").read_text()) == (before, "kept")


def test_a_file_that_appears_in_the_meantime_is_kept() -> None:
    target = Output("out.txt")
    Path("out.txt").write_text("another's")
    with pytest.raises(OutputError, match=r"out\.txt: exists already"):
        write(target, b"mine")
    assert Path("out.txt").read_text() == "another's"
    assert names() == {"in.txt", "data", "data/d.txt", "out.txt"}


def test_where_files_cannot_be_linked_they_are_renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    with new_file(Output("out.txt")) as file:
        file.write(b"whole")
    assert Path("out.txt").read_text() == "whole"


def test_a_name_that_was_thought_of_before_is_not_written_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a fixed name would allow: a link of that name, to a file of somebody's."""
    monkeypatch.setattr(outputs.secrets, "token_hex", lambda _: "known")
    Path(".out.txt.known").symlink_to("in.txt")
    with pytest.raises(FileExistsError, match=r"out\.txt"), new_file("out.txt") as file:
        file.write(b"new")
    assert Path("in.txt").read_text() == "kept"


def test_a_link_stays_a_link() -> None:
    Path("link.txt").symlink_to("data/d.txt")
    with new_file(Output("link.txt", force=True)) as file:
        file.write(b"new")
    assert (Path("link.txt").is_symlink(), Path("data/d.txt").read_text()) == (True, "new")
    Path("dangling").symlink_to("nowhere.txt")
    with pytest.raises(OutputError, match="exists already"):
        Output("dangling")


def test_new_files_get_the_usual_permissions() -> None:
    Path("usual").touch()
    with new_file("out.txt"):
        pass
    assert Path("out.txt").stat().st_mode == Path("usual").stat().st_mode


def test_a_long_name() -> None:
    with new_file("x" * 255):
        pass
    assert Path("x" * 255).exists()


@pytest.fixture
def little_room() -> Iterator[None]:
    """Files that end after 1,000 bytes: the error of a full disk, but for its number."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("little_room")
@pytest.mark.parametrize("path", ["out.txt", "out.gz", "out.xz"])
def test_a_full_disk_names_the_file_and_nothing_stays(path: str) -> None:
    with pytest.raises(OSError, match=rf"File too large: '{path}'"), new_file(path) as file:
        file.write(os.urandom(100_000))
    assert names() == {"in.txt", "data", "data/d.txt"}


@pytest.mark.usefixtures("little_room")
def test_a_full_disk_names_the_folder_whoever_fills_it() -> None:
    with pytest.raises(OSError, match="File too large: 'folder'"), new_folder("folder") as unfinished:
        (unfinished / "file").write_bytes(bytes(100_000))
    assert names() == {"in.txt", "data", "data/d.txt"}


def test_a_device_without_room_is_named() -> None:
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"), new_file("/dev/full") as file:
        file.write(b"x")


def test_what_is_packed_depends_on_the_content_alone() -> None:
    for path in ("a.gz", "b.gz"):
        with new_file(path) as file:
            file.write(b"text")
    assert Path("a.gz").read_bytes() == Path("b.gz").read_bytes()
    assert gzip.decompress(Path("a.gz").read_bytes()) == b"text"


def test_folders_and_missing_folders_are_named_at_once() -> None:
    with pytest.raises(OutputError, match=r"^data: is a folder: expected the name of a file$"):
        Output("data", force=True)
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: 'nowhere/out\.txt'"):
        Output("nowhere/out.txt")


def test_a_pipe_gets_the_content_once_it_is_complete() -> None:
    os.mkfifo("pipe")
    reader = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(KeyboardInterrupt):
        write(Output("pipe"), b"half", stop=KeyboardInterrupt)
    write(Output("pipe"), b"whole")
    assert os.read(reader, 100) == b"whole"
    os.close(reader)


def test_a_path_for_what_writes_to_paths_alone() -> None:
    with new_path(Output("out.txt")) as path:
        path.write_text("whole")
    assert names() == {"in.txt", "data", "data/d.txt", "out.txt"}
