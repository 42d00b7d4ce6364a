"""A counter in memory, a counter on disk and an open file: what a microVM keeps while it sleeps."""

import json
import os
import socket
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import websocket
from hooks import HookHandler, calls

DATA = os.environ.get("DATA_DIR", "/var/lib/counter")
PORT = int(os.environ.get("PORT", "8080"))
HOOK_PORT = int(os.environ.get("HOOK_PORT", "9000"))
LARGEST_BODY = 64 * 1024 * 1024


class State:
    """Everything that must survive a suspend, each in its own way."""

    def __init__(self, directory):
        os.makedirs(directory, exist_ok=True)
        self.lock = threading.Lock()
        self.memory = 0
        self.instance = str(uuid.uuid4())
        self.started_at = time.time()
        self.disk_path = os.path.join(directory, "count")
        self.journal = open(os.path.join(directory, "journal"), "ab", buffering=0)

    def count(self):
        with self.lock:
            self.memory += 1
            self.journal.write(b"%d\n" % self.memory)
            return {
                "memory": self.memory,
                "disk": self.count_on_disk(),
                "pid": os.getpid(),
                "instance": self.instance,
                "openFileOffset": self.journal.tell(),
                "startedAt": self.started_at,
                "time": time.time(),
                "hostname": socket.gethostname(),
                "random": os.urandom(16).hex(),
            }

    def count_on_disk(self):
        try:
            with open(self.disk_path, encoding="ascii") as file:
                value = int(file.read()) + 1
        except FileNotFoundError:
            value = 1
        temporary = self.disk_path + ".new"
        with open(temporary, "w", encoding="ascii") as file:
            file.write(str(value))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.disk_path)
        return value


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        # HTTPServer's own asks DNS for this machine's full name, which waits where there is no DNS.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", self.server_address[1]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/":
            self.answer_json(self.server.state.count())
        elif url.path == "/healthz":
            self.answer(200, b"ok\n", "text/plain")
        elif url.path == "/hooks":
            self.answer_json(calls())
        elif url.path == "/ws":
            self.serve_websocket()
        elif url.path == "/events":
            self.serve_events(parse_qs(url.query))
        else:
            self.answer(404, b"not found\n", "text/plain")

    def do_POST(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            body = self.read_chunks()
        else:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length <= LARGEST_BODY else None
        if body is None:
            self.close_connection = True
            self.answer(413, b"body is too big\n", "text/plain")
            return
        self.answer(200, body, self.headers.get("Content-Type", "application/octet-stream"))

    def read_chunks(self):
        parts, size = [], 0
        while True:
            length = int(self.rfile.readline(64).split(b";")[0], 16)
            if length == 0:
                break
            size += length
            if size > LARGEST_BODY:
                return None
            parts.append(self.rfile.read(length))
            self.rfile.readline(4)
        while self.rfile.readline(8192).strip():
            pass
        return b"".join(parts)

    def serve_websocket(self):
        key = self.headers.get("Sec-WebSocket-Key")
        version = self.headers.get("Sec-WebSocket-Version")
        if self.headers.get("Upgrade", "").lower() != "websocket" or key is None or version != "13":
            self.answer(426, b"this path speaks WebSocket\n", "text/plain", {"Sec-WebSocket-Version": "13"})
            return
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", websocket.accept_key(key))
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        websocket.echo(self.rfile, self.wfile)

    def serve_events(self, query):
        interval = max(0.05, float(query.get("interval", ["1"])[0]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        tick = 0
        while True:
            tick += 1
            data = json.dumps({"tick": tick, "memory": self.server.state.memory})
            self.wfile.write(f"id: {tick}\ndata: {data}\n\n".encode())
            self.wfile.flush()
            time.sleep(interval)

    def answer_json(self, value):
        self.answer(200, json.dumps(value).encode() + b"\n", "application/json")

    def answer(self, status, body, content_type, headers=None):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    # A client may go away at any time; that is no error of ours.
    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def finish(self):
        try:
            super().finish()
        except ConnectionError:
            pass

    def log_message(self, format, *args):
        pass


def main():
    server = Server(("0.0.0.0", PORT), Handler)
    server.state = State(DATA)
    hooks = Server(("127.0.0.1", HOOK_PORT), HookHandler)
    threading.Thread(target=hooks.serve_forever, daemon=True).start()
    print(f"counter listens on port {PORT}, hooks on {HOOK_PORT}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
