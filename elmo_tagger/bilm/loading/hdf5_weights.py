"""A biLM's weights in bilm-tf's .hdf5 layout: one table of names, used for reading and for writing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from elmo_tagger.bilm.options import Options
from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.text.outputs import Target, new_folder

OPTIONS_NAME, WEIGHTS_NAME = "options.json", "weights.hdf5"
_DTYPES = {"float32": np.float32, "float16": np.float16}


class WeightsError(ElmoTaggerError):
    """A weight file that is damaged, unsafe, or does not fit the options."""


@dataclass(frozen=True)
class Slot:
    """A dataset of the file and the parameter, or the direction of one, that it fills.

    Attributes:
        dataset: Path in the .hdf5 file.
        parameter: Name in `Bilm.state_dict()`.
        direction: 0 forward, 1 backward for the parameters that hold both; None for the others.
    """

    dataset: str
    parameter: str
    direction: int | None = None

    def of(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The values to fill or to write: a view."""
        parameter = parameters[self.parameter]
        return parameter if self.direction is None else parameter[self.direction]


def slots(options: Options) -> list[Slot]:
    """The table of names, in both directions: every dataset of the file, every parameter of the model.

    Source: https://github.com/allenai/bilm-tf, bilm/training.py, dump_weights.
    """
    table = [Slot("char_embed", "char_cnn.char_embed")]
    for i in range(len(options.char_cnn.filters)):
        table += [Slot(f"CNN/{name}_{i}", f"char_cnn.convolutions.{i}.{name}") for name in ("W_cnn", "b_cnn")]
    for i in range(options.char_cnn.n_highway):
        gates = ("W_carry", "b_carry", "W_transform", "b_transform")
        table += [Slot(f"CNN_high_{i}/{name}", f"char_cnn.highways.{i}.{name}") for name in gates]
    table += [Slot(f"CNN_proj/{name}", f"char_cnn.{name}") for name in ("W_proj", "b_proj")]
    for direction in (0, 1):
        for layer in range(options.lstm.n_layers):
            cell = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
            table += [
                Slot(f"{cell}/{name}", f"lstm.layers.{layer}.{name}", direction) for name in ("W_0", "B", "W_P_0")
            ]
    return table


def load(model: nn.Module, options: Options, path: str | Path) -> None:
    """Overwrite all parameters of a biLM with those of a file.

    bilm-tf leaves out the projection of the character CNN where it would not change the width; it is then the identity.

    Args:
        model: Has the parameters that `slots` names.
        options: The model's.
        path: The .hdf5 file. Links out of the file, and soft links at all, are refused.

    Raises:
        WeightsError: The file is not HDF5 or damaged, a dataset is missing, not known, of another shape than the
            options say, or has values that are not finite.
        OSError: The file cannot be read.
    """
    path = Path(path)
    with path.open("rb"):  # h5py's message for a missing file is hard to read
        pass
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    try:
        with h5py.File(path, "r") as file:
            datasets = _datasets(file, path)
            table = _present(slots(options), datasets, parameters, path)
            _check_shapes(table, datasets, parameters, path, options)
            for slot in table:
                _read(datasets[slot.dataset], slot.of(parameters), path)
    except (OSError, RuntimeError, KeyError) as error:
        # what h5py raises for a file that is cut short, overwritten, or something else altogether
        raise WeightsError(f"{path}: expected an HDF5 file with the weights of a biLM: {error}") from error


def save(model: nn.Module, options: Options, directory: Target, *, dtype: str = "float32") -> None:
    """Write `options.json` and `weights.hdf5` into a directory, which is made if need be.

    Args:
        model: Has the parameters that `slots` names.
        options: The model's.
        directory: Where to write. A file of that name is replaced once the new one is complete.
        dtype: `float32`, or `float16` for half the size.

    Raises:
        ValueError: Another dtype, or values that it cannot hold.
        OSError: The directory cannot be written.
    """
    if dtype not in _DTYPES:
        raise ValueError(f"dtype: expected one of {', '.join(_DTYPES)}, received {dtype!r}")
    parameters = {name: parameter.detach().cpu() for name, parameter in model.named_parameters()}
    arrays = {slot.dataset: _as(dtype, slot, parameters) for slot in slots(options)}
    with new_folder(directory) as folder:
        with h5py.File(folder / WEIGHTS_NAME, "w") as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array)
        (folder / OPTIONS_NAME).write_text(json.dumps(options.to_dict(), indent=2) + "\n", encoding="utf-8")


def _as(dtype: str, slot: Slot, parameters: Mapping[str, Tensor]) -> npt.NDArray[np.floating]:
    values = slot.of(parameters).to(torch.float64 if dtype == "float32" else torch.float32).numpy()
    with np.errstate(over="ignore"):
        array: npt.NDArray[np.floating] = values.astype(_DTYPES[dtype])
    if not np.isfinite(array).all():
        raise ValueError(f"{slot.parameter} has values that are not finite in {dtype}")
    return array


def _datasets(file: h5py.File, path: Path) -> dict[str, h5py.Dataset]:
    """All datasets by their path; whatever could read another file is refused before it is opened."""
    links: dict[str, object] = {}
    file.visititems_links(lambda name, link: links.__setitem__(name, link))
    for name, link in links.items():
        if not isinstance(link, h5py.HardLink):
            raise WeightsError(f"{path}: {name} is a {_kind(link)}: expected the values themselves")
    found = {name: file[name] for name in links}
    datasets = {name: item for name, item in found.items() if isinstance(item, h5py.Dataset)}
    for name, dataset in datasets.items():
        if dataset.is_virtual or dataset.external:
            raise WeightsError(f"{path}: {name} keeps its values in another file: expected the values themselves")
    return datasets


def _kind(link: object) -> str:
    if isinstance(link, h5py.ExternalLink):
        return f"link to {link.path} of another file, {link.filename}"
    return f"soft link to {link.path}" if isinstance(link, h5py.SoftLink) else "link of an unknown kind"


def _present(
    table: list[Slot], datasets: Mapping[str, h5py.Dataset], parameters: Mapping[str, Tensor], path: Path
) -> list[Slot]:
    """The slots to fill, after a check that file and table name the same datasets."""
    missing = [slot for slot in table if slot.dataset not in datasets]
    if {slot.dataset for slot in missing} == {"CNN_proj/W_proj", "CNN_proj/b_proj"}:
        weight, bias = (slot.of(parameters) for slot in missing)
        if weight.shape[0] == weight.shape[1]:
            nn.init.eye_(weight)
            nn.init.zeros_(bias)
            table, missing = [slot for slot in table if slot not in missing], []
    if missing:
        shapes = ", ".join(f"{slot.dataset} {tuple(slot.of(parameters).shape)}" for slot in missing)
        raise WeightsError(f"{path}: missing {shapes}: the options describe a model that has them")
    unused = sorted(set(datasets) - {slot.dataset for slot in table})
    if unused:
        shapes = ", ".join(f"{name} {datasets[name].shape}" for name in unused)
        raise WeightsError(f"{path}: not used {shapes}: the options describe a model without them")
    return table


def _check_shapes(
    table: list[Slot],
    datasets: Mapping[str, h5py.Dataset],
    parameters: Mapping[str, Tensor],
    path: Path,
    options: Options,
) -> None:
    # all shapes before any value: a refused file leaves the model as it was
    for slot in table:
        dataset, expected = datasets[slot.dataset], tuple(slot.of(parameters).shape)
        if dataset.shape != expected:
            raise WeightsError(
                f"{path}: {slot.dataset}: expected shape {expected} by {options.source}, received {dataset.shape}"
            )
        if dataset.dtype.kind != "f":
            raise WeightsError(f"{path}: {slot.dataset}: expected floating-point values, received {dataset.dtype}")


def _read(dataset: h5py.Dataset, target: Tensor, path: Path) -> None:
    """Fill a parameter: straight from the file where types agree, for a large one is a tenth of a second to copy."""
    if dataset.dtype == np.float32 and target.dtype == torch.float32 and target.device.type == "cpu":
        dataset.read_direct(target.numpy())
        target[:0].zero_()  # PyTorch counts changes of a tensor, by which `ParameterCache` knows, and NumPy's escape it
    else:
        target.copy_(torch.from_numpy(dataset[()].astype(dataset.dtype.newbyteorder("="), copy=False)))
    finite = torch.isfinite(target)
    if not finite.all():
        count = int((~finite).sum())
        raise WeightsError(
            f"{path}: {dataset.name.lstrip('/')}: {count} of {target.numel()} values are NaN or infinite: "
            "expected finite weights"
        )
