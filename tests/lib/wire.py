"""Raw access to kcopyd's protocol for tests that misbehave: frames by hand, messages from the schema.

Made with protoc's stock output; nothing of ours but the schema. Import it after PYTHONPATH names this folder;
wire.pb is the generated module.
"""
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

proto = pathlib.Path(__file__).resolve().parents[2] / "proto"
with tempfile.TemporaryDirectory() as folder:
    subprocess.run(["protoc", f"--python_out={folder}", f"-I{proto}", "kcopy.proto"], check=True)
    sys.path.insert(0, folder)
    import kcopy_pb2 as pb
    sys.path.remove(folder)


def connect():
    """A connection to $KCOPYD_SERVER, a unix: one."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(os.environ["KCOPYD_SERVER"].removeprefix("unix:"))
    return sock


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def frame(message):
    body = message.SerializeToString()
    return varint(len(body)) + body


def exactly(sock, length):
    data = b""
    while len(data) < length:
        part = sock.recv(length - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def receive(sock):
    """The next message, or None when the server has hung up."""
    length = shift = 0
    try:
        while True:
            byte = exactly(sock, 1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        return pb.ServerMessage.FromString(exactly(sock, length))
    except (EOFError, ConnectionError):
        return None


def hello(sock, pages=0):
    message = pb.ClientMessage(request_id=1)
    message.hello.version_min = message.hello.version_max = 1
    message.hello.pages = pages
    message.hello.client_name = "test"
    sock.sendall(frame(message))
    return receive(sock)


def copy_message(request_id, source, destinations, progress_interval_ms=0, sector=0, count=0):
    message = pb.ClientMessage(request_id=request_id)
    setattr(getattr(message.copy, "from"), "name", source)
    getattr(message.copy, "from").sector = sector
    getattr(message.copy, "from").count = count
    for name in destinations:
        message.copy.to.add(name=name, sector=sector)
    message.copy.options.progress_interval_ms = progress_interval_ms
    return message
