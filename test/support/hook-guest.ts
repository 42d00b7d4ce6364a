/**
 * A guest that asks a {@link HookDesk} what to answer to each of its hooks, and tells it of each request. It holds a
 * connection to the desk from before its snapshot on, and others when it is told to.
 */
export const hookProgram = `
import json, os, socket, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

host, port = os.environ["DESK"].split(":")
held = []


def call(message):
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(json.dumps(message).encode() + b"\\n")
        return json.loads(connection.makefile().readline())


# Waits for what never comes, as the pool of a database client does.
def hold():
    connection = socket.create_connection((host, int(port)))
    connection.sendall(b'{"name": "hold"}\\n')
    assert connection.recv(2)
    outcome = ["open"]
    held.append(outcome)

    def read():
        try:
            outcome[0] = "ended" if connection.recv(1) == b"" else "data"
        except OSError as error:
            outcome[0] = type(error).__name__

    threading.Thread(target=read, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        line, name = self.requestline, self.path.rsplit("/", 1)[1]
        headers = {key.lower(): value for key, value in self.headers.items()}
        try:
            status = call({"name": name, "line": line, "body": body, "headers": headers, "from": self.client_address[0]})
        except Exception:
            status = 500
        self.answer(status)

    def do_GET(self):
        if self.path == "/hold":
            hold()
        elif self.path == "/":
            call({"name": "request"})
        self.answer(200, json.dumps([outcome for outcome, in held]).encode())

    def log_message(self, *arguments):
        pass


hold()
threading.Thread(target=ThreadingHTTPServer(("", 9000), Handler).serve_forever).start()
ThreadingHTTPServer(("", 8080), Handler).serve_forever()
`;
