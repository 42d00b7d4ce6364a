"""Server side of RFC 6455, as much as an echo needs: handshake, frames, fragments, ping, close."""

import base64
import hashlib
import struct

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
LARGEST_MESSAGE = 16 * 1024 * 1024
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class ProtocolError(Exception):
    def __init__(self, code, reason):
        super().__init__(reason)
        self.code = code


def accept_key(key):
    """The value of Sec-WebSocket-Accept for a client's Sec-WebSocket-Key."""
    digest = hashlib.sha1(key.encode("ascii") + GUID).digest()
    return base64.b64encode(digest).decode("ascii")


def read_exactly(stream, length):
    data = stream.read(length)
    if len(data) < length:
        raise ConnectionError("the client went away")
    return data


def read_frame(stream):
    first, second = read_exactly(stream, 2)
    if first & 0x70:
        raise ProtocolError(1002, "reserved bits are set")
    if not second & 0x80:
        raise ProtocolError(1002, "frames of a client must be masked")
    opcode, length = first & 0x0F, second & 0x7F
    final = bool(first & 0x80)
    if opcode >= CLOSE and (length > 125 or not final):
        raise ProtocolError(1002, "control frame is too long or fragmented")
    if length == 126:
        (length,) = struct.unpack("!H", read_exactly(stream, 2))
    elif length == 127:
        (length,) = struct.unpack("!Q", read_exactly(stream, 8))
    if length > LARGEST_MESSAGE:
        raise ProtocolError(1009, "message is too big")
    mask = read_exactly(stream, 4)
    payload = read_exactly(stream, length)
    if length:
        # One big XOR instead of a loop over the bytes.
        key = (mask * (length // 4 + 1))[:length]
        payload = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")
    return final, opcode, payload


def write_frame(stream, opcode, payload):
    length = len(payload)
    if length < 126:
        header = struct.pack("!BB", 0x80 | opcode, length)
    elif length < 65536:
        header = struct.pack("!BBH", 0x80 | opcode, 126, length)
    else:
        header = struct.pack("!BBQ", 0x80 | opcode, 127, length)
    stream.write(header + payload)
    stream.flush()


def close_answer(payload):
    """What to answer to a client's close frame; raises on an invalid one."""
    if not payload:
        return b""
    if len(payload) == 1:
        raise ProtocolError(1002, "close code is cut short")
    (code,) = struct.unpack("!H", payload[:2])
    if not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
        raise ProtocolError(1002, "close code is not allowed on the wire")
    decode_text(payload[2:])
    return payload[:2]


def decode_text(payload):
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolError(1007, "text is not UTF-8") from error


def echo(reader, writer):
    """Sends every message back until the client closes."""
    message_opcode, parts, size = None, [], 0
    try:
        while True:
            final, opcode, payload = read_frame(reader)
            if opcode == PING:
                write_frame(writer, PONG, payload)
                continue
            if opcode == PONG:
                continue
            if opcode == CLOSE:
                write_frame(writer, CLOSE, close_answer(payload))
                return
            if opcode not in (CONTINUATION, TEXT, BINARY):
                raise ProtocolError(1002, "unknown opcode")
            if (opcode == CONTINUATION) != (message_opcode is not None):
                raise ProtocolError(1002, "fragments are out of order")
            if message_opcode is None:
                message_opcode = opcode
            parts.append(payload)
            size += len(payload)
            if size > LARGEST_MESSAGE:
                raise ProtocolError(1009, "message is too big")
            if final:
                message = b"".join(parts)
                if message_opcode == TEXT:
                    decode_text(message)
                write_frame(writer, message_opcode, message)
                message_opcode, parts, size = None, [], 0
    except ProtocolError as error:
        write_frame(writer, CLOSE, struct.pack("!H", error.code) + str(error).encode()[:123])
