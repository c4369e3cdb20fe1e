"""The instructions of a torch file's pickle, looked through before anything carries them out."""

from __future__ import annotations

import pickletools
import struct
from dataclasses import dataclass, field
from typing import IO, Any

import torch

STORAGES = {
    **{"DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2},
    **{"LongStorage": 8, "IntStorage": 4, "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1},
    **{"ComplexFloatStorage": 8, "ComplexDoubleStorage": 16},
}
"""Bytes of an element of each kind of storage that is read."""
UNTYPED = "torch.storage.UntypedStorage"
NUMPY = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype")
ALLOWED = frozenset(
    [
        *("collections.OrderedDict", "collections.Counter", "argparse.Namespace", "builtins.set", "builtins.complex"),
        *("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3"),
        *("torch._utils._rebuild_parameter", "torch.Size", "torch.device", "_codecs.encode", UNTYPED, *NUMPY),
        *(f"torch.{name}" for name in STORAGES),
        *(str(value) for value in vars(torch).values() if isinstance(value, torch.dtype)),
    ]
)
"""All globals that a file may name: tensors, plain containers, NumPy's numbers, the arguments of a training."""
MAGIC = 0x1950A86A20F9469CFC6C
"""What a torch file that is no zip archive begins with."""


class Damaged(Exception):
    """The bytes are no pickle that torch writes; says what is wrong."""


class Global(str):
    """The name of a global, apart from text in the file."""

    __slots__ = ()


@dataclass
class Scan:
    """What a pickle names: its globals in their order, and its storages with the bytes that each has to have."""

    names: dict[str, None] = field(default_factory=dict)
    storages: dict[str, int] = field(default_factory=dict)
    first: Any = None
    """The object, where it is a number."""
    protocol: int = 0

    @property
    def forbidden(self) -> list[str]:
        """The globals that are not on the list."""
        return [name for name in self.names if name not in ALLOWED]


def scan(stream: IO[bytes]) -> Scan:
    """Look through one pickle, up to its end, without building any object.

    The stack is followed as far as a storage needs it: text, numbers and globals in a tuple. Whatever else there is
    takes a place and has no value.

    Raises:
        Damaged: The pickle breaks off, is none, or names a storage otherwise than torch does.
    """
    found, machine = Scan(), _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            name = machine.name_of(opcode.name, argument)
            if name is not None:
                found.names[name] = None
            if opcode.name in ("BINPERSID", "PERSID"):
                key, nbytes = _storage(machine.pop())
                found.storages[key] = max(nbytes, found.storages.get(key, 0))
            if opcode.name == "PROTO":
                found.protocol = int(argument or 0)
            machine.step(opcode.name, argument, name)
    except (ValueError, IndexError, OverflowError, MemoryError, struct.error) as error:
        raise Damaged(str(error).partition("\n")[0] or "its instructions do not fit together") from error
    found.first = machine.stack[-1] if machine.stack else None
    return found


class _Machine:
    """The part of a pickle's stack that storages are named by."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def name_of(self, opcode: str, argument: Any) -> str | None:
        """Return the global that an instruction asks for, None where it asks for none."""
        if opcode in ("GLOBAL", "INST"):
            module, _, name = argument.partition(" ")
        elif opcode == "STACK_GLOBAL":
            module, name = (str(part) for part in [None, None, *self.stack][-2:])
        elif opcode.startswith("EXT"):
            module, name = "copyreg", f"extension {argument}"
        else:
            return None
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
        return Global(f"{module}.{name}")

    def step(self, opcode: str, argument: Any, name: str | None) -> None:
        """Follow one instruction."""
        if opcode == "MARK":
            self.marks.append(len(self.stack))
        elif opcode == "TUPLE":
            place = self.marks.pop()
            self.stack[place:] = [tuple(self.stack[place:])]
        elif opcode in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(opcode[-1])
            self.stack[-count:] = [tuple(self.stack[-count:])]
        elif opcode in ("APPENDS", "SETITEMS", "ADDITEMS"):
            del self.stack[self.marks.pop() :]
        elif opcode in ("APPEND", "BUILD", "POP"):
            self.pop()
        elif opcode == "SETITEM":
            del self.stack[-2:]
        elif opcode in ("REDUCE", "NEWOBJ", "STACK_GLOBAL"):
            self.stack[-2:] = [name]
        elif opcode in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.memo[argument] = self.stack[-1]
        elif opcode == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif opcode in ("BINGET", "LONG_BINGET", "GET"):
            self.stack.append(self.memo.get(argument))
        elif opcode not in ("PROTO", "FRAME", "STOP"):
            self.stack.append(name if name is not None else argument)

    def pop(self) -> Any:
        """Take what is on top."""
        return self.stack.pop()


def _storage(named: Any) -> tuple[str, int]:
    """Return the key of a storage and its bytes: `("storage", kind, key, device, elements[, view])`."""
    parts = list(named) if isinstance(named, tuple) else []
    if len(parts) in (5, 6) and parts[0] == "storage" and isinstance(parts[1], Global):
        size = 1 if parts[1] == UNTYPED else STORAGES.get(parts[1].rpartition(".")[2], 1)
        if isinstance(parts[2], str) and type(parts[4]) is int and parts[4] >= 0:
            return parts[2], parts[4] * size
    raise Damaged("it names a storage otherwise than torch does")
