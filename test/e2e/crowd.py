#!/usr/bin/env python3
"""Says as much as a whole fleet, on the socket of a broker that is the manager's own.

usage: crowd.py SOCKET COUNT

COUNT reports with QoS 1, each on the topic of another agent, 38 bytes that no agent has signed. Ends when the broker
has acknowledged all of them.
"""
import os
import socket
import struct
import sys

path, count = sys.argv[1], int(sys.argv[2])
# No more than this is under way: MQTT numbers packets with 16 bits.
WINDOW = 20000


def packet(kind, body):
    assert len(body) < 128
    return bytes([kind, len(body)]) + body


def text(value):
    return struct.pack(">H", len(value)) + value.encode()


def report(number):
    return packet(0x32, text("dl1/up/%032x" % number) + struct.pack(">H", 1 + number % 60000) + os.urandom(38))


link = socket.socket(socket.AF_UNIX)
os.chdir(os.path.dirname(path))
link.connect(os.path.basename(path))
link.sendall(packet(0x10, text("MQTT") + bytes([4, 2, 0, 0]) + text("crowd")))
link.recv(4, socket.MSG_WAITALL)
sent = answered = 0
while answered < 4 * count:
    burst = min(count - sent, WINDOW - (sent - answered // 4), 500)
    link.sendall(b"".join(report(sent + i) for i in range(burst)))
    sent += burst
    answered += len(link.recv(65536))
