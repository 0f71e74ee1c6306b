#!/usr/bin/env python3
"""A manager that has labelled 2,000 agents in two pages, when its disk is full. usage: pages.py SOCKET"""
import http.server
import json
import socketserver
import sys


class Pages(http.server.BaseHTTPRequestHandler):
    def address_string(self):
        return "local"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        full = body["after"] >= 2000
        answer = {"error": "no room is left"} if full else {"changed": 1000, "next": body["after"] + 1000}
        text = json.dumps(answer).encode()
        self.send_response(507 if full else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


socketserver.UnixStreamServer(sys.argv[1], Pages).serve_forever()
