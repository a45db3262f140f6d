"""Weights as bytes: `weights.f32` as the graphs read them, and `weights.q8`, a quarter of it, from which a reader makes it.

A matrix has, for each row, one scale: the row's largest number becomes 127, all others whole numbers between -127 and 127.
Everything else stays float32. All numbers are little endian. In a q8 file all float32 come first (scales and vectors), then
all bytes, so a reader can lay its arrays over it without copying.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Floats = npt.NDArray[np.float32]
FLOAT = np.dtype("<f4")
LARGEST = 127


@dataclass(frozen=True)
class Place:
    """Where one tensor stands: bytes from the beginning of the file."""

    shape: tuple[int, ...]
    f32_offset: int  # in weights.f32
    q8_offset: int  # in weights.q8: int8 if it has scales, else float32
    scale_offset: int | None  # in weights.q8: one float32 for each row of a matrix

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """How long it is in weights.f32."""
        return self.size * FLOAT.itemsize


class Layout:
    """The places of a model's tensors, which depend on their names and shapes alone."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        floats = {name: shape[0] for name, shape in shapes.items()}  # a matrix's scales or a vector's numbers: as many as rows
        offset, floats_offset, bytes_offset = 0, 0, sum(floats.values()) * FLOAT.itemsize
        self.tensors: dict[str, Place] = {}
        for name, shape in shapes.items():
            matrix = len(shape) == 2
            place = Place(shape, offset, bytes_offset if matrix else floats_offset, floats_offset if matrix else None)
            self.tensors[name] = place
            offset += place.bytes
            floats_offset += floats[name] * FLOAT.itemsize
            bytes_offset += place.size if matrix else 0
        self.f32_bytes, self.q8_bytes = offset, bytes_offset

    def quantised(self, weights: Mapping[str, Tensor]) -> bytes:
        """The bytes of a q8 file."""
        blob = bytearray(self.q8_bytes)
        for name, place in self.tensors.items():
            numbers = weights[name].detach().cpu().float().numpy()
            if place.scale_offset is None:
                _write(blob, place.q8_offset, numbers.astype(FLOAT))
                continue
            scales = np.abs(numbers).max(axis=1) / np.float32(LARGEST)
            steps = np.rint(numbers / np.where(scales == 0, np.float32(1), scales)[:, None])
            _write(blob, place.q8_offset, steps.clip(-LARGEST, LARGEST).astype(np.int8))
            _write(blob, place.scale_offset, scales.astype(FLOAT))
        return bytes(blob)

    def dequantised(self, blob: bytes) -> dict[str, Tensor]:
        """The weights that a q8 file holds, as a reader computes them. Raises ValueError if it has another length."""
        if len(blob) != self.q8_bytes:
            raise ValueError(
                f"these weights have {len(blob):,} bytes where {self.q8_bytes:,} are needed; export the run again"
            )
        weights = {}
        for name, place in self.tensors.items():
            if place.scale_offset is None:
                numbers: Floats = np.frombuffer(blob, FLOAT, place.size, place.q8_offset).astype(np.float32)
            else:
                steps = np.frombuffer(blob, np.int8, place.size, place.q8_offset).reshape(place.shape)
                scales = np.frombuffer(blob, FLOAT, place.shape[0], place.scale_offset)
                numbers = steps.astype(np.float32) * scales[:, None].astype(np.float32)
            weights[name] = torch.from_numpy(numbers.reshape(place.shape))
        return weights

    def float32(self, weights: Mapping[str, Tensor]) -> bytes:
        """The bytes of `weights.f32`."""
        return b"".join(weights[name].detach().cpu().numpy().astype(FLOAT).tobytes() for name in self.tensors)


def _write(blob: bytearray, offset: int, numbers: npt.NDArray[np.float32] | npt.NDArray[np.int8]) -> None:
    data = numbers.tobytes()
    blob[offset : offset + len(data)] = data
