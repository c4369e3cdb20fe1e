"""Pickles as Python 2 wrote them."""

import pickle
import pickletools

import numpy as np
import pytest

from sigma_bench.data.miniatures.python2 import dumps


def test_the_standard_library_reads_them():
    content = {b"a": [0, 255, 256, 65535, 65536, -1], b"b": b"x" * 256, b"c": {b"d": [b"", b"\xff"]}, b"e": []}
    assert pickle.loads(dumps(content), encoding="bytes") == content
    array = np.arange(600, dtype=np.uint8).reshape(2, 300)
    found = pickle.loads(dumps([array, array.T]), encoding="bytes")
    np.testing.assert_array_equal(found[0], array)
    np.testing.assert_array_equal(found[1], array.T)
    assert found[0].dtype == np.uint8


def test_strings_are_those_of_python_2_and_each_has_its_number():
    data = dumps([b"%d" % k for k in range(300)])
    names = [opcode.name for opcode, _, _ in pickletools.genops(data)]
    assert names.count("SHORT_BINSTRING") == 300
    numbers = [arg for opcode, arg, _ in pickletools.genops(data) if opcode.name in ("BINPUT", "LONG_BINPUT")]
    assert numbers == list(range(301))
    assert pickletools.genops(data).__next__()[1] == 2


@pytest.mark.parametrize("value", ["text", 1.5, None, np.zeros(2, np.int64), (1,)])
def test_anything_else_is_refused(value):
    with pytest.raises(TypeError, match="is not written"):
        dumps([value])
