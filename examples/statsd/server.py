"""Counts and gauges that come as statsd datagrams on port 8125, shown as JSON on port 8080."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseRequestHandler, UDPServer

# name:value|kind[|@rate], such as "logins:1|c", "load:+0.5|g" or "calls:1|c|@0.1"
METRIC = re.compile(r"([^:|@]{1,200}):([+-]?\d+(?:\.\d+)?)\|(c|g)(?:\|@(0?\.\d+|1(?:\.0+)?))?")
MOST_NAMES = 10_000

lock = threading.Lock()
values: dict[str, float] = {}


def take(line: str) -> None:
    match = METRIC.fullmatch(line)
    if match is None:
        return
    name, value, kind, rate = match.groups()
    with lock:
        if name not in values and len(values) >= MOST_NAMES:
            return
        if kind == "c":
            values[name] = values.get(name, 0) + float(value) / float(rate or 1)
        elif value[0] in "+-":
            values[name] = values.get(name, 0) + float(value)
        else:
            values[name] = float(value)


class Datagrams(BaseRequestHandler):
    def handle(self) -> None:
        for line in self.request[0].decode(errors="replace").splitlines():
            take(line.strip())


class View(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        with lock:
            body = json.dumps(values, sort_keys=True).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    # Datagrams come from the guest's own loopback, whoever sent them outside.
    receiver = UDPServer(("127.0.0.1", 8125), Datagrams)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", 8080), View).serve_forever()
