#!/usr/bin/env python3
"""An agent with a valid certificate that wants all of its broker's memory.

usage: glutton.py PORT NAME AGENT WHAT SECONDS

Connects as NAME.pem and NAME.key say, and does WHAT:
retains      retains messages on its own topic, and on as many others as there is time for
subscribes   subscribes to all content again and again, and reads nothing
collects     subscribes to more and more topics with long names, in a session that is kept
It comes back whenever it is cut off, and prints how often that was.
"""
import itertools
import os
import socket
import ssl
import struct
import sys
import time

from packets import packet, text

port, name, agent, what, seconds = sys.argv[1:]
end = time.monotonic() + float(seconds)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
context.load_cert_chain(name + ".pem", name + ".key")


def publish(topic):
    return packet(0x31, text(topic) + os.urandom(60000))


def subscribe(number, topic):
    return packet(0x82, struct.pack(">H", 1 + number % 60000) + text(topic) + b"\x00")


def packets():
    for number in itertools.count():
        if what == "retains":
            yield publish("dl1/up/" + agent)
            yield publish("dl1/up/%x/%s" % (number, agent))
        elif what == "subscribes":
            yield subscribe(number, "dl1/chunk/+")
        else:
            yield subscribe(number, "x/%d/%s" % (number, "y" * 60000))


def gorge():
    link = socket.create_connection(("127.0.0.1", int(port)))
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    link.settimeout(2)
    link = context.wrap_socket(link)
    flags = 0 if what == "collects" else 2
    link.sendall(packet(0x10, text("MQTT") + bytes([4, flags, 0, 60]) + text(agent)))
    for one in packets():
        if time.monotonic() > end:
            return
        link.sendall(one)


cut = 0
while time.monotonic() < end:
    try:
        gorge()
    except OSError:
        cut += 1
        time.sleep(0.05)
print(cut)
