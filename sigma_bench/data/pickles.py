"""Pickles of others, read without running them: numeric arrays, plain containers, numbers and text, nothing else."""

from __future__ import annotations

import codecs
import math
import mmap
import pickletools
import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from sigma_bench.contracts import UserError

PROTOCOL = 2
"""Highest protocol that is read: what Python 2 wrote."""


class Global(Enum):
    """The names that a pickle may ask for. They are tokens: none is ever imported or called."""

    RECONSTRUCT = "_reconstruct"
    NDARRAY = "ndarray"
    DTYPE = "dtype"
    ENCODE = "encode"


GLOBALS = {
    "numpy.core.multiarray _reconstruct": Global.RECONSTRUCT,
    "numpy._core.multiarray _reconstruct": Global.RECONSTRUCT,
    "numpy ndarray": Global.NDARRAY,
    "numpy dtype": Global.DTYPE,
    "_codecs encode": Global.ENCODE,
}
"""Module and name, as pickletools spells them, of the globals that are understood."""

_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
_NUMBERS = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")


def load(path: Path) -> Any:
    """Return the content of a pickle of protocol 0 to 2, strings of Python 2 as bytes.

    The opcodes are interpreted here, one by one; nothing that the file names is imported or called. Arrays are of
    numbers, read-only, and of the very bytes in the file, so that none can be larger than it.

    Args:
        path: The file.

    Returns:
        Its object: dict (keys are text, bytes or integers), list, tuple, text, bytes, number, None or NumPy array.

    Raises:
        UserError: The file is no pickle, cut short, or asks for anything else; the message names it.
    """
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _run(path, data)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # mmap, of no bytes
        raise UserError(f"{path}: the file is empty; is the download complete?") from error


def _run(path: Path, data: mmap.mmap) -> Any:
    machine = _Machine(len(data))
    position = 0
    try:
        while True:
            position = data.tell()
            code = data.read(1)
            if not code:
                raise ValueError("the file ends in the middle; is the download complete?")
            if code == b".":
                return machine.result()
            opcode = _OPCODES.get(code)
            if opcode is None:
                raise ValueError(f"{code!r} is no opcode; is this a pickle?")
            step = machine.steps.get(opcode.name)
            if step is None:
                raise ValueError(f"opcode {opcode.name} is refused; no file of numbers written by Python 2 has it")
            step(_argument(opcode, data))
    except (ValueError, TypeError, IndexError) as error:
        raise UserError(
            f"{path}: at byte {position}: {error} (expected a pickle of protocol 0 to {PROTOCOL} that holds plain "
            "containers and arrays of numbers; nothing in it was run)"
        ) from error


def _argument(opcode: pickletools.OpcodeInfo, data: mmap.mmap) -> Any:
    if opcode.name == "STRING":  # the reader of pickletools knows ASCII alone
        line = data.readline()
        if len(line) < 3 or line[-1:] != b"\n" or line[:1] not in (b"'", b'"') or line[-2:-1] != line[:1]:
            raise ValueError("a string without quotes or end")
        return codecs.escape_decode(line[1:-2])[0]
    if opcode.name in ("BINSTRING", "SHORT_BINSTRING"):
        size = int.from_bytes(data.read(4 if opcode.name == "BINSTRING" else 1), "little", signed=False)
        found = data.read(size)
        if len(found) != size:
            raise ValueError(f"a string of {size} bytes, of which {len(found)} are there; is the download complete?")
        return found
    return None if opcode.arg is None else opcode.arg.reader(cast(IO[bytes], data))


class _Pending:
    """What has been called for but not been given its state yet."""

    def __init__(self, build: Callable[[Any], Any]) -> None:
        self.build = build
        self.value: Any = None


class _Machine:
    """The stack, marks and memo of a pickle, and what each opcode does to them."""

    def __init__(self, size: int) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.encodable = size
        push, put, get = self.stack_push, self.put, self.get
        self.steps: dict[str, Callable[[Any], None]] = {
            **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT"), push),
            **dict.fromkeys(("BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE"), push),
            **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), put),
            **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), get),
            "PROTO": self.proto,
            "NONE": push,
            "NEWTRUE": lambda _: push(True),
            "NEWFALSE": lambda _: push(False),
            "EMPTY_LIST": lambda _: push([]),
            "EMPTY_TUPLE": lambda _: push(()),
            "EMPTY_DICT": lambda _: push({}),
            "TUPLE1": lambda _: push((self.pop(),)),
            "TUPLE2": lambda _: push(tuple(reversed([self.pop() for _ in range(2)]))),
            "TUPLE3": lambda _: push(tuple(reversed([self.pop() for _ in range(3)]))),
            "MARK": self.mark,
            "POP": lambda _: self.drop(),
            "POP_MARK": lambda _: self.drop_to_mark(),
            "DUP": lambda _: push(self.stack[-1]),
            "LIST": lambda _: push(self.to_mark()),
            "TUPLE": lambda _: push(tuple(self.to_mark())),
            "DICT": lambda _: push(self.paired({}, self.to_mark())),
            "APPEND": lambda _: self.extend([self.pop()]),
            "APPENDS": lambda _: self.extend(self.to_mark()),
            "SETITEM": lambda _: self.update(list(reversed([self.pop(), self.pop()]))),
            "SETITEMS": lambda _: self.update(self.to_mark()),
            "GLOBAL": self.find,
            "REDUCE": lambda _: self.call(),
            "BUILD": lambda _: self.build(),
        }

    def result(self) -> Any:
        """Return the object that is left."""
        if len(self.stack) != 1 or self.below or isinstance(self.stack[0], _Pending | Global):
            raise ValueError("the pickle ends without one finished object")
        return self.stack[0]

    def proto(self, number: int) -> None:
        """Check the protocol."""
        if number > PROTOCOL:
            raise ValueError(f"the pickle has protocol {number}; it is not the file as it was published")

    def stack_push(self, value: Any) -> None:
        """Push a value."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Return the value at the top, off the stack."""
        if not self.stack:
            raise ValueError("the pickle takes a value from an empty stack")
        return self.stack.pop()

    def drop(self) -> None:
        """Forget the value at the top, or the last mark where there is none above it."""
        if self.stack:
            self.stack.pop()
        else:
            self.drop_to_mark()

    def drop_to_mark(self) -> None:
        """Forget all above the last mark, and the mark."""
        self.to_mark()

    def mark(self, _: Any) -> None:
        """Begin a new part of the stack."""
        self.below.append(self.stack)
        self.stack = []

    def to_mark(self) -> list[Any]:
        """Return the values above the last mark, off the stack with it."""
        if not self.below:
            raise ValueError("the pickle goes back to a mark that it never set")
        found, self.stack = self.stack, self.below.pop()
        return found

    def put(self, key: int) -> None:
        """Remember the value at the top."""
        self.memo[key] = self.stack[-1]

    def get(self, key: int) -> None:
        """Push a remembered value."""
        if key not in self.memo:
            raise ValueError(f"the pickle recalls {key}, which it never stored")
        value = self.memo[key]
        finished = isinstance(value, _Pending) and value.value is not None
        self.stack.append(value.value if finished else value)

    def extend(self, values: list[Any]) -> None:
        """Add values to the list at the top."""
        target = self.stack[-1]
        if type(target) is not list:
            raise ValueError(f"the pickle appends to a {type(target).__name__}")
        target += values

    def update(self, values: list[Any]) -> None:
        """Add keys and values, by turns, to the dict at the top."""
        self.paired(self.stack[-1], values)

    def paired(self, target: Any, values: list[Any]) -> Any:
        """Add keys and values, by turns, to a dict, and return it."""
        if type(target) is not dict or len(values) % 2:
            raise ValueError(f"the pickle sets items of a {type(target).__name__}, or a key without a value")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) not in (str, bytes, int):  # nested tuples would take for ever to hash
                raise ValueError(f"a key of a dict is a {type(key).__name__}; expected text or an integer")
            target[key] = value
        return target

    def find(self, name: str) -> None:
        """Push the token of a global."""
        if name not in GLOBALS:
            raise ValueError(f"the pickle asks for '{name.replace(' ', '.')[:120]}', which is refused")
        self.stack.append(GLOBALS[name])

    def call(self) -> None:
        """Push what calling a global would give."""
        arguments, function = self.pop(), self.pop()
        if type(arguments) is not tuple or not arguments or not isinstance(function, Global):
            raise ValueError("the pickle calls what is no function, which is refused")
        if function is Global.RECONSTRUCT and arguments[0] is Global.NDARRAY:
            self.stack.append(_Pending(_array))
        elif function is Global.DTYPE:
            self.stack.append(_Pending(_numbers(arguments[0])))
        elif function is Global.ENCODE:
            self.stack.append(self.encode(*arguments))
        else:
            raise ValueError(f"the pickle calls '{function.value}' in a way that is refused")

    def encode(self, text: Any, codec: Any = "latin1") -> bytes:
        """Return the bytes that Python 3 hides in a text; all of them together are no more than the file's."""
        if type(text) is not str or codec != "latin1":
            raise ValueError("the pickle calls '_codecs.encode' for anything but text as latin1, which is refused")
        self.encodable -= len(text)
        if self.encodable < 0:
            raise ValueError("the pickle grows beyond its own size")
        return text.encode("latin-1")

    def build(self) -> None:
        """Give the value at the top its state."""
        state = self.pop()
        target = self.stack[-1]
        if not isinstance(target, _Pending) or type(state) is not tuple:
            raise ValueError("the pickle sets the state of what is no array, which is refused")
        self.stack[-1] = target.value = target.build(state)


def _numbers(code: Any) -> Callable[[Any], np.dtype[Any]]:
    name = code.decode("latin-1") if isinstance(code, bytes) else code
    if type(name) is not str or _NUMBERS.fullmatch(name) is None:
        shown = f"'{name[:20]}'" if isinstance(name, str) else f"a {type(name).__name__}"
        raise ValueError(f"the pickle holds an array of type {shown}; only numbers are read")

    def build(state: Any) -> np.dtype[Any]:
        order = state[1].decode("latin-1") if isinstance(state[1], bytes) else state[1]
        if type(order) is not str or order not in "<>|=" or any(part is not None for part in state[2:5]):
            raise ValueError("the pickle holds an array of a type with parts; only plain numbers are read")
        return np.dtype(order + name.lstrip("<>|="))

    return build


def _array(state: Any) -> np.ndarray:
    _, shape, kind, fortran, raw = state
    if not isinstance(kind, np.dtype) or type(raw) is not bytes or type(shape) is not tuple or len(shape) > 32:
        raise ValueError("the pickle holds an array whose type, shape or bytes are not plain")
    if any(type(side) is not int or not 0 <= side <= len(raw) for side in shape):
        raise ValueError(f"the pickle holds an array with a side that its {len(raw)} bytes cannot fill")
    if math.prod(shape) * kind.itemsize != len(raw):
        raise ValueError(f"the pickle holds {len(raw)} bytes for an array {shape} of {kind}")
    return np.frombuffer(raw, kind).reshape(shape, order="F" if fortran else "C")
