#!/usr/bin/env python3
"""A broker that was taken over: with its key it stands in the place of the real one, and does with messages what it
likes, as only a broker can: it tells who sent one that it has arrived, whatever becomes of it.

usage: turncoat.py LISTEN:PORT KIT TARGET:PORT SEED

KIT is the folder of the broker's key and certificates; TARGET is a Mosquitto behind it that lets everybody in without
TLS. It is honest until it gets SIGUSR1. From then on each PUBLISH, whichever way it goes, is passed, lost, held for a
while, repeated, put behind the next one, replaced by another one that its topic has had or by one of another
topic of its kind, altered by a bit, given another number (a document), or the end of its connection: SEED and the number of the connection say which. With SIGTERM it ends, and says how often it did
what: a line "up lost 12" for each, up being what clients send; and "told 345", how many different messages of agents
the manager can have heard since.
"""
import asyncio
import collections
import os
import random
import signal
import ssl
import sys

from packets import packet, read_packet

PUBLISH = 3
PUBACK = 4
# Of a hundred messages.
WHIMS = {"passed": 46, "lost": 5, "held": 10, "repeated": 8, "swapped": 7, "old": 8, "crossed": 5, "altered": 7,
         "cut": 4}
# The same of what is signed, of which there is little.
SIGNED_WHIMS = {"passed": 35, "lost": 5, "held": 8, "repeated": 5, "swapped": 5, "old": 12, "crossed": 14, "altered": 5,
                "advanced": 11}
# All chunks but one of so many are passed.
CHUNKS_SPARED = 6
HELD_S_MAX = 1.5
# What it keeps, to bring it again: of each topic so many, and none that is longer.
KEPT_MAX = 8
KEPT_BYTES_MAX = 65536


class Message:
    """A PUBLISH, taken apart."""

    def __init__(self, first, body):
        end = 2 + int.from_bytes(body[:2], "big")
        self.qos = first >> 1 & 3
        self.retain = first & 1
        self.topic = body[:end]
        self.number = body[end:end + 2] if self.qos else b""
        self.payload = body[end + len(self.number):]

    def anew(self, payload):
        """One on its topic that nobody has to acknowledge."""
        return packet(PUBLISH << 4 | self.retain, self.topic + payload)


def flipped(payload, chance):
    """With another bit; the empty one, which takes back what is retained, has none."""
    if not payload:
        return b"\0"
    bit = chance.randrange(8 * len(payload))
    changed = bytearray(payload)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def kind(topic):
    """What is said there, whomever it is for: the third level says that."""
    levels = topic.split(b"/")
    return levels[1:2] + levels[3:]


def advanced(payload):
    """The document as if it were a few revisions later; None where it is none."""
    # Behind type 6, version 1 and the cohort's key: the epoch, and the number, a byte each while they are small.
    at = payload.find(b"\x06\x01\xc4\x08") + 13
    if at < 13 or len(payload) <= at or payload[at] > 120:
        return None
    return payload[:at] + bytes([payload[at] + 7]) + payload[at + 1:]


class Broker:
    """What all connections share."""

    def __init__(self, target, seed):
        self.target = target
        self.seed = seed
        self.hostile = False
        self.connections = 0
        self.counts = collections.Counter()
        self.told = set()  # different messages of agents, unaltered, that went to who listens to all
        self.kept = collections.defaultdict(lambda: collections.deque(maxlen=KEPT_MAX))

    def turn(self):
        self.hostile = True
        self.told.clear()

    def keep(self, message):
        kept = self.kept[message.topic]
        if 0 < len(message.payload) <= KEPT_BYTES_MAX and message.payload not in kept:
            kept.append(message.payload)

    def others(self, message):
        """What was said on its topic besides."""
        return [payload for payload in self.kept[message.topic] if payload != message.payload]

    def strangers(self, message):
        """What was said last on other topics of that kind."""
        return [kept[-1] for topic, kept in self.kept.items()
                if kept and topic != message.topic and kind(topic) == kind(message.topic)]

    async def serve(self, reader, writer):
        self.connections += 1
        number = self.connections
        try:
            behind_reader, behind_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.close()
            return
        passage = Passage(self, number, {"up": behind_writer, "down": writer})
        await asyncio.gather(passage.pump("up", reader), passage.pump("down", behind_reader))

    def tell(self):
        for way in ("up", "down"):
            for whim in WHIMS | SIGNED_WHIMS:
                print(way, whim, self.counts[way, whim], flush=True)
        print("told", len(self.told), flush=True)


class Passage:
    """A client's connection, and the one to the Mosquitto behind, which takes us for the client."""

    def __init__(self, broker, number, writers):
        self.broker = broker
        self.writers = writers
        self.chances = {way: random.Random(f"{broker.seed} {number} {way}") for way in writers}
        self.overtaken = {way: None for way in writers}

    async def pump(self, way, reader):
        try:
            while True:
                first, body = await read_packet(reader)
                if first >> 4 == PUBLISH:
                    self.take(way, Message(first, body), packet(first, body))
                else:
                    self.send(way, packet(first, body))
                await self.writers[way].drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        self.close()

    def take(self, way, message, as_it_is):
        self.broker.keep(message)
        if not self.broker.hostile:
            self.send(way, as_it_is)
            return
        whim = self.choose(way, message)
        self.broker.counts[way, whim] += 1
        before, self.overtaken[way] = self.overtaken[way], None
        if whim in ("passed", "repeated"):
            self.send(way, as_it_is)
        else:
            self.acknowledge(way, message)
        self.indulge(way, whim, message)
        if before:
            self.send(way, before)

    def choose(self, way, message):
        chance = self.chances[way]
        whims = SIGNED_WHIMS if message.topic.endswith(b"/doc") else WHIMS
        whim = chance.choices(list(whims), list(whims.values()))[0]
        # Where content never comes, nobody is led astray.
        if message.topic[2:].startswith(b"dl1/chunk/") and chance.randrange(CHUNKS_SPARED):
            return "passed"
        missing = whim == "old" and not self.broker.others(message) or \
            whim == "crossed" and not self.broker.strangers(message) or \
            whim == "advanced" and not advanced(message.payload)
        return "lost" if missing else whim

    def indulge(self, way, whim, message):
        chance = self.chances[way]
        again = message.anew(message.payload)
        if whim in ("passed", "held", "repeated", "swapped"):
            self.note(way, message, message.payload)
        if whim == "held":
            asyncio.get_running_loop().call_later(chance.uniform(0.1, HELD_S_MAX), self.send, way, again)
        elif whim == "repeated":
            self.send(way, again)
        elif whim == "swapped":
            self.overtaken[way] = again
        elif whim == "old":
            older = chance.choice(self.broker.others(message))
            self.note(way, message, older)
            self.send(way, message.anew(older))
        elif whim == "crossed":
            self.send(way, message.anew(chance.choice(self.broker.strangers(message))))
        elif whim == "advanced":
            self.send(way, message.anew(advanced(message.payload)))
        elif whim == "altered":
            self.send(way, message.anew(flipped(message.payload, chance)))
        elif whim == "cut":
            self.close()

    def note(self, way, message, payload):
        if way == "down" and message.topic[2:].startswith(b"dl1/up/"):
            self.broker.told.add(payload)

    def acknowledge(self, way, message):
        if message.qos:
            self.send("down" if way == "up" else "up", packet(PUBACK << 4, message.number))

    def send(self, way, data):
        if not self.writers[way].is_closing():
            self.writers[way].write(data)

    def close(self):
        for writer in self.writers.values():
            writer.close()


def by_key(kit):
    """TLS as the broker speaks it; clients show whose they are."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(kit, "cert.pem"), os.path.join(kit, "key.pem"))
    context.load_verify_locations(os.path.join(kit, "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


async def serve(listen, kit, target, seed):
    broker = Broker(address(target), seed)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, broker.turn)
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await asyncio.start_server(broker.serve, *address(listen), ssl=by_key(kit))
    await ended.wait()
    broker.tell()
    os._exit(0)  # with all connections


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    asyncio.run(serve(*sys.argv[1:]))


main()
