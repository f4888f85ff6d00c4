"""safetensors files and folders of several, read with every name, shape and type checked.

The safetensors library checks a file's header against its length; here is what it can't know: which
tensors a network needs, which file of an index holds which, and that no index leads out of its
folder. It never unpickles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from leanfleet.model.folder import inside, read_json, replacing

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
FLOATS = {"F64", "F32", "F16", "BF16"}
_LARGEST_INDEX = 16 * 1024 * 1024


class _Index(msgspec.Struct, frozen=True):
    weight_map: dict[str, str]
    metadata: dict[str, object] = {}


class TensorSource:
    """Named tensors of a folder, read one by one when asked for."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = dict(files)
        self._open: dict[Path, safe_open] = {}

    @property
    def names(self) -> set[str]:
        return set(self._files)

    def check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Looks at every header before anything is allocated. Raises ValueError, as `read`."""
        for name, shape in shapes.items():
            self._checked(name, shape)

    def read(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """One tensor, checked. Raises ValueError: missing, another shape, no floats, damaged."""
        path = self._checked(name, shape)
        with _readable(path):
            return self._open[path].get_tensor(name)

    def _checked(self, name: str, shape: tuple[int, ...]) -> Path:
        path = self._files.get(name)
        if path is None:
            raise ValueError(f"{self._where()}: no tensor {name!r}")
        with _readable(path):
            if path not in self._open:
                self._open[path] = safe_open(path, framework="pt")
            part = self._open[path].get_slice(name)
            found = tuple(part.get_shape())
            if found != shape:
                raise ValueError(f"{path}: {name} has shape {list(found)}, not {list(shape)}")
            if part.get_dtype() not in FLOATS:
                raise ValueError(f"{path}: {name} is {part.get_dtype()}: no floating-point weights")
        return path

    def _where(self) -> str:
        return str(next(iter(self._files.values())).parent if self._files else "no file")


@contextmanager
def open_folder(folder: Path) -> Iterator[TensorSource]:
    """The tensors of `model.safetensors`, or of the files that the index beside it names."""
    if (folder / INDEX).is_file():
        files = _indexed(folder)
    elif (folder / SINGLE).is_file():
        files = _listed(folder / SINGLE)
    else:
        raise ValueError(f"{folder}: neither {SINGLE} nor {INDEX} is there")
    yield TensorSource(files)


@contextmanager
def open_file(path: Path) -> Iterator[TensorSource]:
    """The tensors of one file."""
    yield TensorSource(_listed(path))


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """One file, written atomically. Tensors are copied where they share memory."""
    ready = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        save_file(ready, temporary, metadata=dict(metadata))


def check_finite(name: str, tensor: Tensor, where: Path) -> None:
    """Raises ValueError for weights that are infinite or undefined."""
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{where}: {name} has infinite or undefined weights")


def _listed(path: Path) -> dict[str, Path]:
    with _readable(path), safe_open(path, framework="pt") as file:
        return dict.fromkeys(file.keys(), path)


def _indexed(folder: Path) -> dict[str, Path]:
    index = read_json(folder / INDEX, _Index, _LARGEST_INDEX)
    if not index.weight_map:
        raise ValueError(f"{folder / INDEX}: names no tensor")
    held: dict[str, dict[str, Path]] = {}
    for name in sorted(set(index.weight_map.values())):
        try:
            path = inside(folder, name)
        except ValueError as error:
            raise ValueError(f"{folder / INDEX}: {error}") from None
        if not path.is_file():
            raise ValueError(f"{folder / INDEX}: names {name}, which is not there")
        held[name] = _listed(path)
    for tensor, name in index.weight_map.items():
        if tensor not in held[name]:
            raise ValueError(f"{folder / INDEX}: {tensor!r} is not in {name}")
    return {tensor: held[name][tensor] for tensor, name in index.weight_map.items()}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged or cut off, or no safetensors file: {error}") from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
