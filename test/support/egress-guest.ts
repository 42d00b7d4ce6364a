/** A small HTTP API in a guest that reaches out as it is told. Errors are answered by their text. */
export const guestProgram = `
import datetime, hashlib, hmac, json, os, socket, ssl, struct
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlparse

held = []


def connect(q):
    return socket.create_connection((q["host"], int(q["port"])), timeout=30)


def read_all(connection):
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    return data


def read(q):
    with connect(q) as connection:
        return read_all(connection).decode()


def exchange(q):
    data = os.urandom(int(q["bytes"]))
    with connect(q) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        got = read_all(connection)
    digest = lambda b: hashlib.sha256(b).hexdigest()
    return json.dumps({"sent": digest(data), "received": digest(got), "count": len(got)})


def many(q):
    connections = [connect(q) for _ in range(int(q["count"]))]
    for index, connection in enumerate(connections):
        connection.sendall(b"%d" % index)
        connection.shutdown(socket.SHUT_WR)
    answers = [read_all(connection) for connection in connections]
    return str(sum(answer == b"%d" % index for index, answer in enumerate(answers)))


def datagram(q):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(30)
        s.connect((q["host"], int(q["port"])))
        s.send(b"x")
        return repr(s.recv(100))


def ping(q):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:
        s.settimeout(1)
        s.sendto(b"\\x08\\x00\\xf7\\xfd\\x00\\x01\\x00\\x01", (q["host"], 0))
        while True:
            packet, source = s.recvfrom(1000)
            if packet[20] == 0:
                return "answered by " + source[0]


def resolve(q):
    return json.dumps(sorted({a[4][0] for a in socket.getaddrinfo(q["name"], 80, socket.AF_INET)}))


def ask(q):
    query = struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + b"\\x03one\\x07example\\x00\\x00\\x01\\x00\\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(30)
        s.sendto(query, (q["host"], 53))
        answer, source = s.recvfrom(4096)
        return "%s %d" % (source[0], struct.unpack(">6H", answer[:12])[3])


def abort(q):
    connection = connect(q)
    # Only once the host has dialled is there somebody to be reset.
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return "aborted"


def hold(q):
    held.append(connect(q))
    return held[0].recv(4).decode()


def held_outcome(q):
    return repr(held[0].recv(10))


def tls(q):
    context = ssl._create_unverified_context()
    with connect(q) as connection, context.wrap_socket(connection, server_hostname=q["name"]):
        return "secured"


def http(url, method="GET", headers={}):
    try:
        with urlopen(Request(url, method=method, headers=headers), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def metadata(q):
    base = "http://169.254.169.254/latest"
    ttl = {"x-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = {"x-aws-ec2-metadata-token": http(base + "/api/token", "PUT", ttl)[1]}
    return json.dumps([http(base + path, headers=token if q.get("token") else {}) for path in q["paths"].split(",")])


role_path = "/meta-data/iam/security-credentials/execution_role"


# Lists microVMs at a server with the credentials of the execution role.
def signed(q):
    role = json.loads(json.loads(metadata({"token": 1, "paths": role_path}))[0][1])
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = [stamp[:8], q["region"], "lambda", "aws4_request"]
    url = urlparse(q["url"])
    headers = {"host": url.netloc, "x-amz-date": stamp, "x-amz-security-token": role["Token"]}
    names = ";".join(headers)
    lines = [name + ":" + value for name, value in headers.items()]
    canonical = ["GET", url.path, "", *lines, "", names, hashlib.sha256(b"").hexdigest()]
    digest = hashlib.sha256("\\n".join(canonical).encode()).hexdigest()
    key = ("AWS4" + role["SecretAccessKey"]).encode()
    for part in scope + ["\\n".join(["AWS4-HMAC-SHA256", stamp, "/".join(scope), digest])]:
        key = hmac.new(key, part.encode(), "sha256").digest()
    parts = [
        "Credential=" + "/".join([role["AccessKeyId"], *scope]),
        "SignedHeaders=" + names,
        "Signature=" + key.hex(),
    ]
    return json.dumps(http(q["url"], headers={**headers, "Authorization": "AWS4-HMAC-SHA256 " + ", ".join(parts)}))


actions = {
    "/fetch": lambda q: json.dumps(http(q["url"])), "/tls": tls, "/metadata": metadata, "/signed": signed,
    "/read": read, "/exchange": exchange, "/many": many, "/datagram": datagram, "/ping": ping,
    "/resolve": resolve, "/ask": ask, "/abort": abort, "/hold": hold, "/held": held_outcome,
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlparse(self.path)
        action = actions.get(url.path, lambda q: "ready")
        try:
            body = action(dict(parse_qsl(url.query))).encode()
        except Exception as error:
            body = f"error: {error}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


ThreadingHTTPServer(("", 8080), Handler).serve_forever()
`;
