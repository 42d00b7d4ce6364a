"""The lifecycle hooks of the microVM: each call is answered at once and remembered."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler

PREFIX = "/aws/lambda-microvms/runtime/v1/"
NAMES = {"ready", "validate", "run", "suspend", "resume", "terminate"}

_lock = threading.Lock()
_calls = []


def calls():
    with _lock:
        return list(_calls)


class HookHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        name = self.path.removeprefix(PREFIX)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode("utf-8", "replace")
        if not self.path.startswith(PREFIX) or name not in NAMES:
            self.answer(404)
            return
        call = {"hook": name, "time": time.time()}
        if body:
            call["body"] = json.loads(body)
        with _lock:
            _calls.append(call)
        print(f"hook {name}", flush=True)
        self.answer(200)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format, *args):
        pass
