"""Pickles of others: what is understood, and that nothing in them is run."""

import codecs
import contextlib
import io
import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigma_bench.contracts import UserError
from sigma_bench.data import pickles
from sigma_bench.data.miniatures.python2 import dumps

ARRAY = np.arange(12, dtype=np.uint8).reshape(3, 4)


def load(tmp_path, data):
    path = tmp_path / "batch"
    path.write_bytes(data)
    return pickles.load(path)


@pytest.fixture
def refused(tmp_path):
    def check(data, message):
        with pytest.raises(UserError, match=message) as caught:
            load(tmp_path, data)
        assert str(caught.value).startswith(str(tmp_path / "batch"))

    return check


def test_a_pickle_of_python_2_is_read_as_the_standard_library_reads_it(tmp_path):
    content = {b"data": ARRAY, b"labels": [0, 255, 256, 70000, -1], b"names": [b"a" * 300, b"\xff'\""], b"none": []}
    data = dumps(content)
    own, other = load(tmp_path, data), pickle.loads(data, encoding="bytes")
    assert own.keys() == other.keys() == content.keys()
    for found in (own, other):
        np.testing.assert_array_equal(found[b"data"], ARRAY)
        assert [found[key] for key in (b"labels", b"names", b"none")] == [content[b"labels"], content[b"names"], []]


def test_protocol_0_of_python_2_with_bytes_beyond_ascii(tmp_path):
    data = (
        b"(dp0\nS'data'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\nS'b'\np5\ntp6\n"
        b"Rp7\n(I1\n(I1\nI2\ntp8\ncnumpy\ndtype\np9\n(S'u1'\np10\nI0\nI1\ntp11\nRp12\n(I3\nS'|'\np13\nNNNI-1\nI-1\nI0\n"
        b"tp14\nbI00\nS'\\xff\\n'\np15\ntp16\nbsS'same'\ng7\nsS'label'\nL12L\ns."
    )
    found = load(tmp_path, data)
    assert found[b"data"].tolist() == [[255, 10]]
    assert found[b"same"] is found[b"data"]
    assert found[b"label"] == 12


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("kind", ["u1", "<i2", ">i4", "f4", "<f8", "bool"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_written_by_python_3_in_an_old_protocol(tmp_path, protocol, kind, order):
    array = np.asarray(np.arange(24).reshape(2, 3, 4) % 100, dtype=kind, order=order)
    found = load(tmp_path, pickle.dumps({"x": [array, array[0]], "y": array}, protocol))
    assert found["x"][0].dtype == array.dtype
    np.testing.assert_array_equal(found["x"][0], array)
    np.testing.assert_array_equal(found["x"][1], array[0])
    np.testing.assert_array_equal(found["y"], array)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(min_size=1),
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers() | st.just(b"k"), inner)
    ),
    max_leaves=20,
)


@given(value=plain, protocol=st.sampled_from([0, 1, 2]))
def test_plain_containers_come_back_as_they_were(value, protocol, tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "x"
    path.write_bytes(pickle.dumps(value, protocol))
    assert pickles.load(path) == value


class Call:
    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_nothing_that_a_pickle_asks_for_is_run(tmp_path, refused, protocol):
    made = tmp_path / "made"
    hostile = {
        os.system: (f"touch {made}",),
        eval: (f"open({str(made)!r}, 'w')",),
        exec: (f"open({str(made)!r}, 'w')",),
        open: (str(made), "w"),
        os.mkdir: (str(made),),
        getattr: ("text", "join"),
    }
    for function, arguments in hostile.items():
        call = Call(function, *arguments)
        for value in (call, {b"data": call}, [Call(codecs.encode, call, "latin1")], Call(np.dtype, call)):
            data = pickle.dumps(value, protocol)
            refused(data, rf"the pickle asks for '.*{function.__name__}', which is refused")
            assert not made.exists()


def test_the_hostile_pickles_do_run_where_they_are_not_refused(tmp_path):
    made = tmp_path / "made"
    pickle.loads(pickle.dumps(Call(os.mkdir, str(made)), 2))
    assert made.exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"cposix\nsystem\n(S'true'\ntR.", "asks for 'posix.system', which is refused"),
        (b"cnumpy.core.multiarray\nscalar\n.", "asks for 'numpy.core.multiarray.scalar'"),
        (b"cnumpy\nload\n(S'x'\ntR.", "asks for 'numpy.load'"),
        (b"cnumpy.core\nmultiarray._reconstruct\n.", "asks for 'numpy.core.multiarray._reconstruct'"),
        (b"(iposix\nsystem\n.", "opcode INST is refused"),
        (b"(cnumpy\nndarray\no.", "opcode OBJ is refused"),
        (b"cnumpy\nndarray\n)\x81.", "opcode NEWOBJ is refused"),
        (b"Pname\n.", "opcode PERSID is refused"),
        (b"\x82\x01.", "opcode EXT1 is refused"),
        (b"\x80\x05\x95.", "protocol 5"),
        (b"cnumpy\nndarray\n((I9999999999\nttR.", "calls 'ndarray' in a way that is refused"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(S'x'\ntR.", "calls '_reconstruct' in a way"),
        (b"S'f'\n(tR.", "calls what is no function"),
        (b"(dS'x'\nb.", "sets the state of what is no array"),
        (b"cnumpy\nndarray\n.", "without one finished object"),
        (b"cnumpy\ndtype\n(S'u1'\nI0\nI1\ntR.", "without one finished object"),
        (b"I1\nI2\n.", "without one finished object"),
    ],
)
def test_opcodes_and_calls_that_are_refused(refused, data, message):
    refused(data, message)


@pytest.mark.parametrize("kind", ["O", "O8", "V8", "S5", "U5", "M8[s]", "i4,O", "|O", "(1000000000,)i4", "u16", "c16"])
def test_arrays_of_anything_but_numbers_are_refused(refused, kind):
    refused(b"cnumpy\ndtype\n(S'%s'\nI0\nI1\ntR." % kind.encode(), "of type '.*only numbers are read")


def test_an_object_array_and_a_structured_type_are_refused(refused):
    refused(pickle.dumps(np.array([Call(os.getpid)], dtype=object), 2), "of type 'O8'")
    refused(pickle.dumps(np.zeros(2, "i4,i4"), 2), "of type 'V8'")
    state = b"(I3\nS'|'\n(I4\ncnumpy\nndarray\ntNNI-1\nI-1\nI0\ntb."
    refused(b"cnumpy\ndtype\n(S'u1'\nI0\nI1\ntR" + state, "of a type with parts")


def test_the_codec_is_latin1_and_nothing_else(refused):
    for codec in ("rot13", "idna", "unicode_escape", "utf-8", "zip", "../x"):
        refused(pickle.dumps(Call(codecs.encode, "text", codec), 2), "for anything but text as latin1")
    refused(pickle.dumps(Call(codecs.encode, "text", "latin1", "xmlcharrefreplace"), 2), "argument")
    refused(pickle.dumps(Call(codecs.encode, ["text"], "latin1"), 2), "for anything but text as latin1")
    refused(pickle.dumps(Call(codecs.encode, "\u20ac", "latin1"), 2), "latin-1")


def array(shape, raw, kind=b"u1"):
    state = b"(I3\nS'|'\nNNNI-1\nI-1\nI0\ntb"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n("
        + b"".join(b"L%dL\n" % side for side in shape)
        + b"tcnumpy\ndtype\n(S'%s'\nI0\nI1\ntR" % kind
        + state
        + b"I00\nT"
        + struct.pack("<i", len(raw))
        + raw
        + b"tb."
    )


@pytest.mark.parametrize(
    ("shape", "raw", "kind", "message"),
    [
        ((10**12,), b"abcd", b"u1", "a side that its 4 bytes cannot fill"),
        ((-1,), b"abcd", b"u1", "a side that"),
        ((10**4000,), b"abcd", b"u1", "a side that"),
        ((4, 4), b"abcd", b"u1", r"4 bytes for an array \(4, 4\) of uint8"),
        ((3,), b"abcd", b"u1", "4 bytes for an array"),
        ((4,), b"abcd", b"f8", "4 bytes for an array"),
        ((0, 10**9), b"", b"u1", "a side that"),
        ((1,) * 33, b"a", b"u1", "not plain"),
    ],
)
def test_no_array_is_larger_than_its_bytes(refused, shape, raw, kind, message):
    refused(array(shape, raw, kind), message)


def test_such_an_array_is_read_where_its_shape_fits(tmp_path):
    assert load(tmp_path, array((2, 2), b"abcd")).tolist() == [[97, 98], [99, 100]]


def test_a_small_file_cannot_grow(refused):
    text = b"X" + struct.pack("<i", 1000) + b"a" * 1000 + b"q\x00"
    data = b"]c_codecs\nencode\n(" + text + b"Vlatin1\ntRa"
    again = b"c_codecs\nencode\n(h\x00Vlatin1\ntRa"
    refused(data + 50 * again + b".", "grows beyond its own size")
    refused(b"r\xff\xff\xff\x7f.", "at byte 0")
    refused(b"I1\nr\xff\xff\xff\x7fT\xff\xff\xff\x7fabc.", "a string of 2147483647 bytes, of which 4 are there")
    deep = b")" + b"2\x86" * 200  # each tuple holds the last one twice: 2^200 leaves to hash
    refused(b"}" + deep + b"I1\ns.", "a key of a dict is a tuple")


def test_every_cut_of_a_file_is_reported(refused):
    data = dumps({b"data": ARRAY, b"labels": [1, 2]})
    for end in range(1, len(data)):
        refused(data[:end], "at byte")
    refused(data[:-1], "ends in the middle; is the download complete")
    refused(b"", "the file is empty")


@given(
    data=st.binary(max_size=60) | st.lists(st.sampled_from(list(b"(tlad}].RbuseI1\nS'x20qhNK\x85\x86\x87"))).map(bytes)
)
def test_no_bytes_do_more_than_be_refused(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "x"
    path.write_bytes(data)
    with contextlib.suppress(UserError):
        assert type(pickles.load(path)) in (dict, list, tuple, str, bytes, int, float, bool, type(None), np.ndarray)


def test_an_absent_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(UserError, match="absent: cannot be read"):
        pickles.load(tmp_path / "absent")
    with pytest.raises(UserError, match="cannot be read"):
        pickles.load(tmp_path)


def test_pickles_of_other_things_are_refused(refused):
    refused(b"not a pickle at all", "at byte 0")
    buffer = io.BytesIO()
    np.save(buffer, ARRAY)
    refused(buffer.getvalue(), "at byte 0: b'.x93' is no opcode|refused")
