"""Where decoding of H.264 starts anew: an instantaneous decoding refresh (IDR), not every frame marked as a key.

Recovery points and the first pictures of open groups are marked as keys too; what is decoded from one of these on is
not all right, or not in the order in which a reader that counts from there expects it.
"""

from __future__ import annotations

from collections.abc import Iterator

NAME = "h264"
"""FFmpeg's name of the codec."""
IDR, SLICES = 5, frozenset({1, 2, 3, 4, 5})
"""Types of units that hold parts of a picture (Rec. ITU-T H.264, table 7-1)."""


def is_idr(packet: bytes, header: bytes | None) -> bool:
    """Return whether the picture in a packet is an IDR one; of what cannot be read, that it is not.

    Args:
        packet: One picture as the container holds it.
        header: The stream's extra data, which says how units are told apart: begun by a 1, each follows its length;
            else each follows a start code.
    """
    lengths = header is not None and len(header) > 4 and header[0] == 1
    kinds = _by_length(packet, (header[4] & 3) + 1) if header and lengths else _by_code(packet)
    return next((kind == IDR for kind in kinds if kind in SLICES), False)


def _by_length(packet: bytes, size: int) -> Iterator[int]:
    place = 0
    while place + size < len(packet):
        length = int.from_bytes(packet[place : place + size], "big")
        yield packet[place + size] & 31
        place += size + length


def _by_code(packet: bytes) -> Iterator[int]:
    place = packet.find(b"\0\0\1")
    while 0 <= place < len(packet) - 3:
        yield packet[place + 3] & 31
        place = packet.find(b"\0\0\1", place + 3)
