"""A biLM's weights in bilm-tf's .hdf5 layout: one table of names, used for reading and for writing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from elmo_tagger.bilm.factors import SCALE, Factor
from elmo_tagger.bilm.options import CHARACTERS, Options
from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.text.outputs import Target, errors_at_the_end, new_folder

if TYPE_CHECKING:
    import h5py  # imported where it is used: a tagger's biLM comes from its own archive

OPTIONS_NAME, WEIGHTS_NAME = "options.json", "weights.hdf5"
MAX_DEPTH = 10  # groups in each other; bilm-tf makes five
SHOWN = 8  # datasets that an error lists
MAX_RATIO = 1032  # of deflate; a dataset of more was never written
_DTYPES = {"float32": np.float32, "float16": np.float16}


class WeightsError(ElmoTaggerError):
    """A weight file that is damaged, unsafe, or does not fit the options."""


@dataclass(frozen=True)
class Slot:
    """A dataset of the file and the parameter, or the direction of one, that it fills.

    Attributes:
        dataset: Path in the .hdf5 file.
        parameter: Name in `Bilm.state_dict()`.
        shape: Of the dataset.
        direction: 0 forward, 1 backward for the parameters that hold both; None for the others.
    """

    dataset: str
    parameter: str
    shape: tuple[int, ...]
    direction: int | None = None

    def of(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The values to fill or to write: a view."""
        return self._own(parameters[self.parameter])

    def factor(self, tensors: Mapping[str, Tensor]) -> Factor:
        """The same with the scales of integers, which are a tensor of their own."""
        scale = tensors.get(self.parameter + SCALE)
        return Factor(self.of(tensors), None if scale is None else self._own(scale))

    def _own(self, tensor: Tensor) -> Tensor:
        return tensor if self.direction is None else tensor[self.direction]


def slots(options: Options) -> Iterator[Slot]:
    """The table of names and shapes: every dataset of the file, every parameter of the model, one after another.

    Source: https://github.com/allenai/bilm-tf, bilm/training.py, dump_weights.
    """
    cnn, lstm = options.char_cnn, options.lstm
    width = cnn.n_filters
    yield Slot("char_embed", "char_cnn.char_embed", (CHARACTERS, cnn.embedding_dim))
    for i, (window, count) in enumerate(cnn.filters):
        shapes = {"W_cnn": (1, window, cnn.embedding_dim, count), "b_cnn": (count,)}
        for name, shape in shapes.items():
            yield Slot(f"CNN/{name}_{i}", f"char_cnn.convolutions.{i}.{name}", shape)
    for i in range(cnn.n_highway):
        for gate in ("carry", "transform"):
            yield Slot(f"CNN_high_{i}/W_{gate}", f"char_cnn.highways.{i}.W_{gate}", (width, width))
            yield Slot(f"CNN_high_{i}/b_{gate}", f"char_cnn.highways.{i}.b_{gate}", (width,))
    yield Slot("CNN_proj/W_proj", "char_cnn.W_proj", (width, lstm.projection_dim))
    yield Slot("CNN_proj/b_proj", "char_cnn.b_proj", (lstm.projection_dim,))
    cell = {
        "W_0": (2 * lstm.projection_dim, 4 * lstm.dim),
        "B": (4 * lstm.dim,),
        "W_P_0": (lstm.dim, lstm.projection_dim),
    }
    for direction in (0, 1):
        for layer in range(lstm.n_layers):
            for name, shape in cell.items():
                dataset = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell/{name}"
                yield Slot(dataset, f"lstm.layers.{layer}.{name}", shape, direction)


def check_parameters(options: Options, parameters: Mapping[str, Tensor], *, source: str) -> None:
    """Hold the options against tensors, so that no biLM is built which they cannot fill.

    Args:
        options: The biLM's.
        parameters: By the names in `Bilm.state_dict()`.
        source: Where they come from, for messages.

    Raises:
        WeightsError: A tensor is missing, not known, or of another shape.
    """
    expected: dict[str, tuple[int, ...]] = {}
    for slot in slots(options):
        expected[slot.parameter] = slot.shape if slot.direction is None else (2, *slot.shape)
        if slot.parameter not in parameters:
            shape = expected[slot.parameter]
            raise WeightsError(f"{source}: missing {slot.parameter} {shape}: the options describe a model that has it")
    for name, tensor in parameters.items():
        weight = parameters.get(name.removesuffix(SCALE))
        if name.endswith(SCALE) and weight is not None and not weight.is_floating_point():
            expected[name] = (*weight.shape[:-2], weight.shape[-1])
        if tensor.shape != expected.get(name):
            received, wanted = tuple(tensor.shape), expected.get(name, "none")
            raise WeightsError(f"{source}: {name}: expected shape {wanted} by the options, received {received}")


def load(model: nn.Module, options: Options, path: str | Path) -> None:
    """Overwrite all parameters of a biLM with those of a file.

    bilm-tf leaves out the projection of the character CNN where it would not change the width; it is then the identity.

    Args:
        model: Has the parameters that `slots` names.
        options: The model's.
        path: The .hdf5 file. Links out of the file, and soft links at all, are refused.

    Raises:
        WeightsError: As `check`, or there are values that are not finite.
        OSError: The file cannot be read.
    """
    tensors = _tensors(model)
    with _opened(options, Path(path)) as datasets:
        for slot in slots(options):
            if slot.dataset in datasets:
                _read(datasets[slot.dataset], slot.factor(tensors), Path(path))
            else:
                make = torch.eye if slot.dataset == "CNN_proj/W_proj" else torch.zeros
                _fill(slot.factor(tensors), make(*slot.shape))


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in (*model.named_parameters(), *model.named_buffers())}


def check(options: Options, path: str | Path) -> None:
    """Hold the options against a file, so that no biLM is built which it cannot fill.

    Args:
        options: The biLM's.
        path: The .hdf5 file.

    Raises:
        WeightsError: The file is not HDF5 or damaged, a dataset is missing, not known, or of another shape than the
            options say.
        OSError: The file cannot be read.
    """
    with _opened(options, Path(path)):
        pass


@contextmanager
def _opened(options: Options, path: Path) -> Iterator[dict[str, h5py.Dataset]]:
    """The datasets of a file that fits the options; those of a projection that it leaves out are not among them."""
    import h5py

    with path.open("rb"):  # h5py's message for a missing file is hard to read
        pass
    try:
        with h5py.File(path, "r") as file:
            datasets = _datasets(file, path)
            _check_names(options, datasets, path)
            _check_shapes(options, datasets, path)
            yield datasets
    except WeightsError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
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
    import h5py

    if dtype not in _DTYPES:
        raise ValueError(f"dtype: expected one of {', '.join(_DTYPES)}, received {dtype!r}")
    tensors = {name: tensor.cpu() for name, tensor in _tensors(model).items()}
    arrays = {slot.dataset: _as(dtype, slot, tensors) for slot in slots(options)}
    with new_folder(directory) as folder:
        weights = folder / WEIGHTS_NAME
        with errors_at_the_end(weights, Path(directory) / WEIGHTS_NAME) as raw, h5py.File(raw, "w") as file:
            for name, array in arrays.items():
                file.create_dataset(name, data=array)
        (folder / OPTIONS_NAME).write_text(json.dumps(options.to_dict(), indent=2) + "\n", encoding="utf-8")


def _as(dtype: str, slot: Slot, tensors: Mapping[str, Tensor]) -> npt.NDArray[np.floating]:
    values = slot.factor(tensors).widened().to(torch.float64 if dtype == "float32" else torch.float32).numpy()
    with np.errstate(over="ignore"):
        array: npt.NDArray[np.floating] = values.astype(_DTYPES[dtype])
    if not np.isfinite(array).all():
        raise ValueError(f"{slot.parameter} has values that are not finite in {dtype}")
    return array


def _datasets(file: h5py.File, path: Path) -> dict[str, h5py.Dataset]:
    """All datasets by their path; whatever could read another file is refused before it is opened."""
    import h5py

    datasets: dict[str, h5py.Dataset] = {}
    seen, waiting = {file["/"]}, [("", file["/"])]
    while waiting:  # a loop: h5py's own visits recurse in C, and end the process in a file of many levels
        prefix, group = waiting.pop()
        for name in group:
            if not isinstance(name, str) or not name.isascii():  # h5py gives bytes where they are no text
                raise WeightsError(f"{path}: {name[:80]!a}: expected the names that bilm-tf gives")
            place = f"{prefix}{name}"
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise WeightsError(f"{path}: {place} is a {_kind(link)}: expected the values themselves")
            item = group[name]
            if isinstance(item, h5py.Dataset):
                datasets[place] = item
            elif isinstance(item, h5py.Group) and item not in seen:
                if place.count("/") > MAX_DEPTH:
                    raise WeightsError(f"{path}: expected at most {MAX_DEPTH} groups in each other, received more")
                seen.add(item)
                waiting.append((f"{place}/", item))
    for place, dataset in datasets.items():
        if dataset.is_virtual or dataset.external:
            raise WeightsError(f"{path}: {place} keeps its values in another file: expected the values themselves")
    return datasets


def _kind(link: object) -> str:
    import h5py

    if isinstance(link, h5py.ExternalLink):
        return f"link to {link.path} of another file, {link.filename}"
    return f"soft link to {link.path}" if isinstance(link, h5py.SoftLink) else "link of an unknown kind"


def _check_names(options: Options, datasets: Mapping[str, h5py.Dataset], path: Path) -> None:
    """Whether file and table name the same datasets."""
    # not all of them: options can claim any number of layers
    missing = list(islice((slot for slot in slots(options) if slot.dataset not in datasets), SHOWN + 1))
    square = options.char_cnn.n_filters == options.lstm.projection_dim
    if square and {slot.dataset for slot in missing} == {"CNN_proj/W_proj", "CNN_proj/b_proj"}:
        missing = []
    if missing:
        shapes = _listed([f"{slot.dataset} {slot.shape}" for slot in missing])
        raise WeightsError(f"{path}: missing {shapes}: the options describe a model that has them")
    unused = sorted(set(datasets) - {slot.dataset for slot in slots(options)})
    if unused:
        shapes = _listed([f"{name} {datasets[name].shape}" for name in unused[: SHOWN + 1]])
        raise WeightsError(f"{path}: not used {shapes}: the options describe a model without them")


def _listed(items: list[str]) -> str:
    return ", ".join(items[:SHOWN]) + (", ..." if len(items) > SHOWN else "")


def _check_shapes(options: Options, datasets: Mapping[str, h5py.Dataset], path: Path) -> None:
    # all shapes before any value: a refused file leaves the model as it was
    for slot in slots(options):
        dataset = datasets.get(slot.dataset)
        if dataset is None:  # the projection that may be left out
            continue
        if dataset.shape != slot.shape:
            raise WeightsError(
                f"{path}: {slot.dataset}: expected shape {slot.shape} by {options.source}, received {dataset.shape}"
            )
        if dataset.dtype.kind != "f" or dataset.dtype.itemsize > 8:
            raise WeightsError(f"{path}: {slot.dataset}: expected floating-point values, received {dataset.dtype}")
        if dataset.nbytes > MAX_RATIO * dataset.id.get_storage_size():
            raise WeightsError(f"{path}: {slot.dataset}: expected {dataset.shape} values, received none")


def _read(dataset: h5py.Dataset, target: Factor, path: Path) -> None:
    """Fill a parameter: straight from the file where types agree, for a large one is a tenth of a second to copy."""
    values = target.values
    if dataset.dtype == np.float32 and values.dtype == torch.float32 and values.device.type == "cpu":
        dataset.read_direct(values.numpy())
        values[:0].zero_()  # PyTorch counts changes of a tensor, by which `ParameterCache` knows, and NumPy's escape it
    else:
        values = torch.from_numpy(dataset[()].astype(dataset.dtype.newbyteorder("="), copy=False))
        _fill(target, values)
    finite = torch.isfinite(target.values if target.scale is None else values)
    if not finite.all():
        count = int((~finite).sum())
        raise WeightsError(
            f"{path}: {dataset.name.lstrip('/')}: {count} of {values.numel()} values are NaN or infinite: "
            "expected finite weights"
        )


def _fill(target: Factor, values: Tensor) -> None:
    """Overwrite a weight, rounding to the type that it has."""
    rounded = Factor(values).rounded(target.values.dtype)
    target.values.copy_(rounded.values)
    if target.scale is not None and rounded.scale is not None:
        target.scale.copy_(rounded.scale)
