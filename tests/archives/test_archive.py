"""What is in an archive, when it is not what a trained model has."""

from pathlib import Path

import pytest

from elmo_tagger.archives import ArchiveError, open_archive

GOOD = b'{"dataset_reader": {}, "model": {}}'
WRONG_CONFIGS = {
    "a list": (b"[1]", "expected a JSON object, received a list"),
    "a string": (b'"x"', "expected a JSON object, received a string"),
    "null": (b"null", "expected a JSON object, received null"),
    "empty": (b"", "expected a JSON object"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "expected a JSON object in UTF-8"),
    "Latin-1": (b'{"model": "\xe4"}', "expected a JSON object in UTF-8"),
    "no reader": (b'{"model": {}}', "expected an object 'dataset_reader' in it"),
    "no model": (b'{"dataset_reader": {}, "model": "x"}', "expected an object 'model' in it"),
    "Jsonnet that never ends": (b"local f(x) = f(x + 1) tailstrict; f(0)", "expected a JSON object"),
    "Jsonnet that reads files": (b'{"model": importstr "/etc/passwd"}', "expected a JSON object"),
    "10,000 levels": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "at most 100 levels"),
    "150 levels of lists": (b'{"a":' + b"[" * 150 + b"]" * 150 + b"}", "at most 100 levels"),
    "NaN": (b'{"a": NaN}', "NaN is no JSON number"),
    "a number beyond floats": (b'{"a": 1e999}', "1e999 is beyond the range"),
    "a number of 5,000 digits": (b'{"a": ' + b"9" * 5000 + b"}", "expected a JSON object"),
    "a key twice": (b'{"model": {}, "model": {}}', "key 'model' twice"),
}


@pytest.mark.parametrize("case", WRONG_CONFIGS)
def test_a_wrong_config_is_one_line(case: str, tmp_path: Path) -> None:
    content, message = WRONG_CONFIGS[case]
    (tmp_path / "config.json").write_bytes(content)
    with open_archive(tmp_path) as archive, pytest.raises(ArchiveError, match=message) as caught:
        archive.config()
    assert str(caught.value).startswith(f"{tmp_path}: config.json: ")
    assert "\n" not in str(caught.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with open_archive(tmp_path) as archive:
        with pytest.raises(ArchiveError, match=r"expected a file config\.json in it, received a directory"):
            archive.config()
        with pytest.raises(ArchiveError, match=r"expected a file weights\.th in it, received none"):
            archive.weights()


def test_a_missing_archive_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), open_archive(tmp_path / "none.tar.gz"):
        pass
