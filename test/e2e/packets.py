"""MQTT packets as bytes (MQTT 3.1.1, 2.2 and 3.3), for programs that are neither good clients nor good brokers."""
import struct


def packet(first, body):
    """A whole one: its first byte, its length, and what follows."""
    length, rest = b"", len(body)
    while True:
        length += bytes([rest % 128 | (128 if rest > 127 else 0)])
        rest //= 128
        if rest == 0:
            return bytes([first]) + length + body


def text(value):
    return struct.pack(">H", len(value)) + value.encode()


async def read_packet(reader):
    """The next one: its first byte, and what follows its length."""
    first = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return first, await reader.readexactly(length)
