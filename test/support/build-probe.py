"""Tries from inside a RUN step what no build may do; prints one line of JSON for each attempt."""
import ctypes
import errno
import json
import os
import signal
import socket
import stat

libc = ctypes.CDLL(None, use_errno=True)
most_processes = 6000


def call(function, *arguments):
    if function(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def attempt(name, action):
    try:
        result = action()
        print(json.dumps({"attempt": name, "done": True, "result": result}), flush=True)
    except OSError as error:
        print(json.dumps({"attempt": name, "done": False, "result": error.strerror}), flush=True)


def block_devices():
    found = [os.path.join(top, name) for top, _, names in os.walk("/dev") for name in names]
    return [name for name in found if os.path.exists(name) and os.stat(name).st_mode & 0o170000 == 0o060000]


def open_device(name):
    with open(name, "wb") as file:
        # The builder of an ordinary user may unpack an empty file in its place.
        if not stat.S_ISCHR(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.ENODEV, "not a device")


def fork_many():
    children = []
    try:
        while len(children) < most_processes:
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
    except OSError:
        pass
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)
    return len(children)


def write(name, text):
    with open(name, "w") as file:
        file.write(text)


def other_roots():
    """What the root directories of all processes that can be looked into hold."""
    seen = set()
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            seen.update(os.listdir(f"/proc/{process}/root"))
        except OSError:
            pass
    return sorted(seen - set(os.listdir("/")))


secret = os.environ["SECRET"]
attempt("read a file of the host", lambda: open(secret).read())
attempt("list the host's block devices", block_devices)
attempt("make a block device", lambda: os.mknod("/disk", 0o060600, os.makedev(8, 0)))
attempt("make a character device", lambda: os.mknod("/memory", 0o020600, os.makedev(1, 1)))
attempt("open a device out of an archive", lambda: open_device("/shipped-device"))
attempt("read the kernel's messages", lambda: open("/dev/kmsg", "rb").close())
attempt("change roots", lambda: os.chroot("/tmp"))
attempt("mount", lambda: call(libc.mount, b"none", b"/mnt", b"tmpfs", 0, None))
attempt("make a mount namespace", lambda: call(libc.unshare, 0x00020000))
attempt("make a user namespace", lambda: call(libc.unshare, 0x10000000))
attempt("name a program for core dumps", lambda: write("/proc/sys/kernel/core_pattern", "|/bin/sh"))
attempt("look into the builder's root", lambda: os.listdir("/proc/1/root"))
attempt("read the builder's environment", lambda: open("/proc/1/environ").read())
attempt("trace the builder", lambda: call(libc.ptrace, 16, 1, 0, 0))
attempt("send raw packets", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close())
attempt("rename the host", lambda: socket.sethostname("mine"))
attempt("see the host's devices in /sys", lambda: os.listdir("/sys/block"))
attempt("find another root", other_roots)
attempt("count processes", fork_many)
attempt("name the control groups", lambda: open("/proc/self/cgroup").read())
