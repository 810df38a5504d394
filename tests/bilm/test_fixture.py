"""The committed tiny biLM is what its script makes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import h5py

FIXTURES = Path(__file__).parents[2] / "fixtures"


def arrays(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return {name: (values.dtype, values.shape, values.tobytes()) for name, values in found.items()}


def test_the_script_makes_the_committed_files(tmp_path):
    spec = importlib.util.spec_from_file_location("make_bilm", FIXTURES / "make_bilm.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.make(tmp_path)
    committed = FIXTURES / "bilm"
    assert (tmp_path / "options.json").read_bytes() == (committed / "options.json").read_bytes()
    # values, not bytes of the file: those change with the HDF5 library
    assert arrays(tmp_path / "weights.hdf5") == arrays(committed / "weights.hdf5")
    assert (committed / "weights.hdf5").stat().st_size <= 400_000
