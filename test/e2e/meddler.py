#!/usr/bin/env python3
"""A TCP proxy that stands between agents and a broker: it records what passes, and can meddle.

usage: meddler.py LISTEN:PORT TARGET:PORT FOLDER

FOLDER gets N.up and N.down, what the N-th connection carried to and from the broker (its first
RECORDED_MAX bytes), and a line `N UP DOWN` in `connections` when it ends: bytes each way.
The file FOLDER/orders is read anew for every connection: a line "flip N" flips a bit in about every
N-th piece, "cut N" ends the connection after N bytes, "hold" takes bytes and passes none.
It ends with SIGTERM.
"""
import asyncio
import os
import random
import sys

RECORDED_MAX = 1 << 20
PIECE = 4096


def orders(folder):
    try:
        with open(os.path.join(folder, "orders"), encoding="ascii") as lines:
            return {words[0]: int(words[1]) if len(words) > 1 else 1
                    for words in (line.split() for line in lines) if words}
    except FileNotFoundError:
        return {}


class Passage:
    """One connection, both ways."""

    def __init__(self, number, folder, chance):
        self.number = number
        self.folder = folder
        self.chance = chance
        self.orders = orders(folder)
        self.bytes = {"up": 0, "down": 0}

    async def run(self, reader, writer, target):
        host, port = target
        try:
            there_reader, there_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self.pump("up", reader, there_writer),
                             self.pump("down", there_reader, writer))
        with open(os.path.join(self.folder, "connections"), "a", encoding="ascii") as log:
            log.write(f"{self.number} {self.bytes['up']} {self.bytes['down']}\n")

    async def pump(self, way, reader, writer):
        try:
            with open(os.path.join(self.folder, f"{self.number}.{way}"), "wb") as record:
                while piece := await reader.read(PIECE):
                    if self.bytes[way] < RECORDED_MAX:
                        record.write(piece)
                        record.flush()
                    self.bytes[way] += len(piece)
                    if "hold" in self.orders:
                        continue
                    writer.write(self.meddle(piece))
                    await writer.drain()
                    if sum(self.bytes.values()) >= self.orders.get("cut", 1 << 62):
                        break
        except (ConnectionError, OSError):
            pass
        writer.close()

    def meddle(self, piece):
        if "flip" not in self.orders or self.chance.randrange(self.orders["flip"]):
            return piece
        bit = self.chance.randrange(8 * len(piece))
        changed = bytearray(piece)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)


async def serve(listen, target, folder):
    count = 0
    chance = random.Random(1)

    async def on_connection(reader, writer):
        nonlocal count
        count += 1
        await Passage(count, folder, chance).run(reader, writer, target)

    server = await asyncio.start_server(on_connection, *listen)
    async with server:
        await server.serve_forever()


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    os.makedirs(sys.argv[3], exist_ok=True)
    asyncio.run(serve(address(sys.argv[1]), address(sys.argv[2]), sys.argv[3]))


main()
