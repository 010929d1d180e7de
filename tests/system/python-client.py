#!/usr/bin/python3
"""A client of another language: generated from kcopy.proto with protoc, on protobuf's stock runtime alone.

usage: python-client.py PROTO_DIRECTORY SERVER SOURCE DESTINATION

SERVER is unix:PATH or tcp:HOST:PORT. Copies one sector at a time from SOURCE to DESTINATION, which must both be
devices that the server can open, of at least 100 sectors. Exit status 0: the server kept the contract.
"""
import importlib
import os
import socket
import subprocess
import sys
import tempfile

from google.protobuf.internal.decoder import _DecodeVarint32
from google.protobuf.internal.encoder import _VarintBytes

TIMEOUT_S = 30


def generate(proto_directory, into):
    subprocess.run(["protoc", f"--proto_path={proto_directory}", f"--python_out={into}", "kcopy.proto"],
                   check=True)
    sys.path.insert(0, into)
    return importlib.import_module("kcopy_pb2")


class Connection:
    def __init__(self, pb, server):
        self.pb = pb
        kind, address = server.split(":", 1)
        if kind == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(TIMEOUT_S)
            self.socket.connect(address)
        else:
            host, port = address.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)), TIMEOUT_S)
        self.data = b""
        self.last_request = 0

    def send_raw(self, data):
        self.socket.sendall(data)

    def send(self, **body):
        self.last_request += 1
        message = self.pb.ClientMessage(request_id=self.last_request, **body)
        packed = message.SerializeToString()
        self.send_raw(_VarintBytes(len(packed)) + packed)
        return self.last_request

    def fill(self):
        more = self.socket.recv(65536)
        self.data += more
        return len(more) > 0

    def receive(self):
        """The next message, or None when the server has hung up."""
        while True:
            try:
                length, start = _DecodeVarint32(self.data, 0)
                if len(self.data) >= start + length:
                    break
            except IndexError:
                pass
            if not self.fill():
                assert not self.data, "the server hung up in the middle of a frame"
                return None
        message = self.pb.ServerMessage.FromString(self.data[start:start + length])
        self.data = self.data[start + length:]
        return message

    def expect(self, request, body):
        """The next message must be this answer."""
        message = self.receive()
        assert message is not None, f"hung up, instead of {body}"
        assert message.WhichOneof("body") == body, message
        assert message.request_id == request, message
        return getattr(message, body)

    def hello(self, pages=64):
        request = self.send(hello=self.pb.Hello(version_min=1, version_max=1, pages=pages, client_name="python"))
        return self.expect(request, "welcome")


def expect_hang_up(connection):
    message = connection.receive()
    assert message.WhichOneof("body") == "protocol_error", message
    assert message.protocol_error.reason, message
    assert connection.receive() is None
    connection.socket.close()


def check_hello_and_info(pb, server):
    c = Connection(pb, server)
    welcome = c.hello()
    assert welcome.version == 1 and 1 <= welcome.pages <= 64, welcome
    assert len(welcome.instance_id) == 16 and welcome.frame_max_bytes == 65536, welcome
    info = c.expect(c.send(info=pb.Info()), "server_info")
    assert info.instance_id == welcome.instance_id and info.pages >= info.pages_granted >= welcome.pages, info
    assert c.expect(c.send(ping=pb.Ping(payload=b"abc")), "pong").payload == b"abc"
    return c


def check_open_and_close(c, pb, device):
    opened = c.expect(c.send(open=pb.Open(name=device)), "opened")
    assert opened.handle != 0 and opened.device.block_min_bytes >= 1, opened
    c.expect(c.send(close=pb.Close(handle=opened.handle)), "done")
    refused = c.expect(c.send(close=pb.Close(handle=opened.handle + 1000)), "refused")
    assert refused.field == "handle", refused


def region(pb, device, sector, count=1):
    return pb.IoRegion(name=device, sector=sector, count=count)


def check_copy(c, pb, source, destination):
    """Accepted, then exactly one Completion with our context; nothing of the job after it."""
    context = bytes(range(64))
    request = c.send(copy=pb.Copy(context=context, **{"from": region(pb, source, 0, 8)},
                                  to=[region(pb, destination, 0, 8)]))
    accepted = c.expect(request, "accepted")
    assert accepted.job != 0
    while True:
        message = c.receive()
        assert message.request_id == 0, message
        if message.WhichOneof("body") == "completion":
            break
        assert message.WhichOneof("body") in ("state_change", "progress", "destination_done"), message
    done = message.completion
    assert (done.job, done.context, done.state) == (accepted.job, context, pb.JOB_STATE_COMPLETED), done
    assert not done.read_err and done.write_err == 0 and done.length_bytes == accepted.length_bytes, done
    ledger = done.destinations[0].ledger
    assert ledger.copied_bytes + ledger.zeroed_bytes + ledger.skipped_bytes == done.length_bytes, done
    # what would follow is in front of the answer to a ping
    c.expect(c.send(ping=pb.Ping()), "pong")
    job = c.expect(c.send(get=pb.Get(job=accepted.job)), "job_info")
    assert job.state == pb.JOB_STATE_COMPLETED and job.completion.context == context, job


def check_copy_many(c, pb, source, destination, count=100):
    jobs = [pb.Copy(context=b"%d" % i, **{"from": region(pb, source, i)}, to=[region(pb, destination, i)])
            for i in range(count)]
    answers = c.expect(c.send(copy_many=pb.CopyMany(jobs=jobs)), "accepted_many").answers
    ids = [answer.job for answer in answers]
    assert len(set(ids)) == count and 0 not in ids, answers
    contexts, frames = {}, 0
    while len(contexts) < count:
        message = c.receive()
        assert message.WhichOneof("body") == "completions", message
        frames += 1
        for done in message.completions.completions:
            assert done.job not in contexts and done.state == pb.JOB_STATE_COMPLETED, done
            contexts[done.job] = done.context
    assert [contexts[job] for job in ids] == [b"%d" % i for i in range(count)]
    assert frames <= count
    print(f"{count} jobs completed in {frames} frames")


def check_validate_only(c, pb, source, destination):
    """One answer, no job, no event."""
    options = pb.JobOptions(validate_only=True)
    before = c.expect(c.send(list=pb.List(terminal=True)), "job_list").jobs
    judged = dict(**{"from": region(pb, source, 0, 8)}, to=[region(pb, destination, 0, 8)], options=options)
    validated = c.expect(c.send(copy=pb.Copy(**judged)), "validated")
    assert validated.length_bytes and validated.HasField("from") and len(validated.to) == 1, validated
    assert getattr(validated, "from").size_bytes >= validated.length_bytes, validated
    assert validated.to[0].kind != pb.DEVICE_KIND_UNSPECIFIED, validated
    zero = c.expect(c.send(zero=pb.Zero(to=judged["to"], options=options)), "validated")
    assert not zero.HasField("from") and len(zero.to) == 1, zero
    answers = c.expect(c.send(copy_many=pb.CopyMany(jobs=[pb.Copy(**judged)])), "accepted_many").answers
    assert answers[0].job == 0 and answers[0].refused.field == "options.validate_only", answers
    c.expect(c.send(ping=pb.Ping()), "pong")
    after = c.expect(c.send(list=pb.List(terminal=True)), "job_list").jobs
    assert [job.job for job in after] == [job.job for job in before], after


def check_refusals(c, pb, source, destination):
    """Each is refused with its field, and the connection goes on."""
    beyond = region(pb, source, 0, 1 << 50)
    to = [region(pb, destination, 0)]
    good = region(pb, source, 0)
    cases = [
        (dict(copy=pb.Copy(to=to)), "from"),
        (dict(copy=pb.Copy(**{"from": good})), "to"),
        (dict(copy=pb.Copy(**{"from": good}, to=[pb.IoRegion(sector=1)])), "to[0]"),
        (dict(copy=pb.Copy(**{"from": good}, to=to, context=b"x" * 65)), "context"),
        (dict(copy=pb.Copy(**{"from": good}, to=to, options=pb.JobOptions(on_error=9))), "options.on_error"),
        (dict(copy_many=pb.CopyMany()), "jobs"),
        (dict(cancel=pb.Cancel(job=1 << 60)), "job"),
        (dict(), "body"),
    ]
    if not os.environ.get("PYTHON_CLIENT_FAKE_ENGINE"):
        cases.append((dict(copy=pb.Copy(**{"from": beyond}, to=to)), "from.count"))
    for body, field in cases:
        refused = c.expect(c.send(**body), "refused")
        assert refused.field == field and refused.reason, refused
        assert refused.error_class != pb.ERROR_CLASS_UNSPECIFIED and refused.errno_name, refused


def check_unknown_field(c, pb):
    """Field 99 of Ping, and of the envelope: refused by name, with the request's id."""
    for body, field in ((b"\x62\x03\x98\x06\x01", "Ping.99"), (b"\x62\x00\x98\x06\x01", "ClientMessage.99")):
        c.last_request += 1
        body = b"\x08" + _VarintBytes(c.last_request) + body.replace(b"\x62", b"\x6a", 1)
        c.send_raw(_VarintBytes(len(body)) + body)
        refused = c.expect(c.last_request, "refused")
        assert refused.error_class == pb.ERROR_CLASS_UNSUPPORTED and refused.field == field, refused
    c.expect(c.send(ping=pb.Ping()), "pong")


def check_bad_frames(pb, server):
    for data in (_VarintBytes(65537),                # larger than allowed
                 b"\xff\xff\xff\xff\xff\xff",        # a length without end
                 b"\x04\x0a\x01\x6a\x0f",            # malformed
                 b"\x03\x0b\x0b\x0c"):               # groups
        c = Connection(pb, server)
        c.hello()
        c.send_raw(data)
        expect_hang_up(c)
    c = Connection(pb, server)                       # 4 KiB before Hello
    c.send_raw(_VarintBytes(4097))
    expect_hang_up(c)
    c = Connection(pb, server)                       # something else before Hello
    c.send(ping=pb.Ping())
    expect_hang_up(c)


def check_goodbye(c, pb):
    c.expect(c.send(goodbye=pb.Goodbye()), "farewell")
    assert c.receive() is None


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    proto_directory, server, source, destination = sys.argv[1:]
    with tempfile.TemporaryDirectory() as into:
        pb = generate(proto_directory, into)
        c = check_hello_and_info(pb, server)
        check_open_and_close(c, pb, source)
        check_copy(c, pb, source, destination)
        check_copy_many(c, pb, source, destination)
        check_validate_only(c, pb, source, destination)
        check_refusals(c, pb, source, destination)
        check_unknown_field(c, pb)
        check_bad_frames(pb, server)
        c.expect(c.send(ping=pb.Ping()), "pong")     # others noticed nothing
        check_goodbye(c, pb)
    print("ok")


if __name__ == "__main__":
    main()
