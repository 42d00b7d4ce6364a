/**
 * A guest that says who it is, what it draws and what time it has. Its `/run` hook notes what a fresh VM draws first.
 */
export const witnessProgram = `
import ctypes, errno, json, os, random, socket, ssl, struct, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlparse

noted = {}
log = bytearray()
drawing = False


def content(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError as error:
        return type(error).__name__


def draw():
    return {
        "urandom": os.urandom(16).hex(),
        "getrandom": os.getrandom(16).hex(),
        "uuid": content("/proc/sys/kernel/random/uuid"),
        "application": "%x" % random.getrandbits(64),
    }


def who(q):
    hostname = os.uname().nodename
    return {
        "hostname": hostname, "hostnameFile": content("/etc/hostname"), "ownAddress": socket.gethostbyname(hostname),
        "bootId": content("/proc/sys/kernel/random/boot_id"), "machineId": content("/etc/machine-id"),
        "busMachineId": content("/var/lib/dbus/machine-id"), "atRun": noted.get("run"), "now": draw(),
    }


# Draws without a break, so that whatever two VMs share shows.
def keep_drawing():
    while drawing:
        log.extend(os.urandom(8))


def start_drawing(q):
    global drawing
    drawing = True
    threading.Thread(target=keep_drawing).start()
    return {}


def drawn(q):
    global drawing
    drawing = False
    return {"log": log.hex()}


def clocks(q):
    return {"wall": time.time(), "monotonic": time.monotonic()}


alarms = {}


# A timer for a moment of the wall clock, which may end when that clock is set.
def alarm(name, at, flags):
    libc = ctypes.CDLL(None, use_errno=True)
    timer = libc.timerfd_create(time.CLOCK_REALTIME, 0)
    libc.timerfd_settime(timer, 1 | flags, struct.pack("llll", 0, 0, at, 0), None)

    def wait():
        try:
            os.read(timer, 8)
            alarms[name] = time.time()
        except OSError as error:
            alarms[name] = errno.errorcode[error.errno]

    threading.Thread(target=wait, daemon=True).start()


def set_alarms(q):
    alarm("plain", int(q["at"]), 0)
    alarm("cancelled", int(q["at"]) + 30 * 86400, 2)
    return {}


def tls(q):
    context = ssl.create_default_context(cadata=q["trusted"])
    try:
        with socket.create_connection((q["host"], int(q["port"]))) as connection:
            with context.wrap_socket(connection, server_hostname="service.test"):
                return {"outcome": "verified"}
    except ssl.SSLCertVerificationError as error:
        return {"outcome": error.verify_message}


def on_run():
    random.seed()
    noted["run"] = draw()


hooks = {"run": on_run}
actions = {
    "/who": who, "/draw": start_drawing, "/drawn": drawn,
    "/clocks": clocks, "/set-alarms": set_alarms, "/alarms": lambda q: alarms, "/tls": tls,
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        hooks.get(self.path.rsplit("/", 1)[1], lambda: None)()
        self.answer({})

    def do_GET(self):
        url = urlparse(self.path)
        self.answer(actions[url.path](dict(parse_qsl(url.query))))

    def log_message(self, *arguments):
        pass


threading.Thread(target=ThreadingHTTPServer(("", 9000), Handler).serve_forever).start()
ThreadingHTTPServer(("", 8080), Handler).serve_forever()
`;

/** What a VM draws at one moment, from each place where programs take randomness from. */
export interface Draw {
  readonly urandom: string;
  readonly getrandom: string;
  readonly uuid: string;
  /** Of a generator in the application, which it seeds anew in its `/run` hook. */
  readonly application: string;
}

/** What `GET /who` answers. */
export interface Identity {
  readonly hostname: string;
  readonly hostnameFile: string;
  /** The address of its own host name. */
  readonly ownAddress: string;
  readonly bootId: string;
  readonly machineId: string;
  readonly busMachineId: string;
  readonly atRun: Draw;
  readonly now: Draw;
}
