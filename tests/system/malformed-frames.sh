# A malformed or oversized frame gets an error message and a closed connection; other connections notice nothing.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq protoc

random_file "$tmp/src" 4M
start_kcopyd
start_copy --rate 1048576 "$tmp/src" "$tmp/dst"
cat >"$tmp/peer.py" <<'PEER'
import sys
import wire

def hangs_up(name, data, after_hello=True):
    sock = wire.connect()
    if after_hello:
        assert wire.hello(sock).WhichOneof("body") == "welcome", name
    try:
        sock.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass
    said = None
    while True:
        message = wire.receive(sock)
        if message is None:
            break
        said = message.WhichOneof("body")
    assert said == "protocol_error", f"{name}: said {said} before it hung up"

big = wire.varint(65537) + b"\0" * 65537
hangs_up("a frame over the limit", big)
hangs_up("a huge length", b"\xff\xff\xff\xff\x0f")
hangs_up("a length that never ends", b"\xff" * 16)
hangs_up("a large frame before Hello", wire.varint(5000) + b"\0" * 5000, False)
hangs_up("garbage", wire.varint(32) + b"\xff" * 32)
hangs_up("another protocol", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", False)
first = wire.copy_message(1, "/x", ["/y"])
hangs_up("no Hello first", wire.frame(first), False)

# Versions that do not meet.
sock = wire.connect()
message = wire.pb.ClientMessage(request_id=1)
message.hello.version_min = message.hello.version_max = 99
sock.sendall(wire.frame(message))
answer = wire.receive(sock)
assert answer is not None and answer.WhichOneof("body") in ("refused", "protocol_error"), answer

# A request with a field that the schema does not know is refused, and the connection goes on.
sock = wire.connect()
wire.hello(sock)
body = wire.copy_message(7, sys.argv[1], ["null:"])
inner = body.copy.SerializeToString() + wire.varint(99 << 3) + wire.varint(1)
raw = wire.varint(1 << 3) + wire.varint(7) + wire.varint(5 << 3 | 2) + wire.varint(len(inner)) + inner
sock.sendall(wire.varint(len(raw)) + raw)
answer = wire.receive(sock)
assert answer.WhichOneof("body") == "refused" and answer.request_id == 7, answer
# A request without a body, as from a client that knows more requests: the same.
sock.sendall(wire.varint(2) + b"\x08\x05")
answer = wire.receive(sock)
assert answer.WhichOneof("body") == "refused" and answer.request_id == 5, answer
message = wire.pb.ClientMessage(request_id=8)
message.ping.payload = b"still there"
sock.sendall(wire.frame(message))
answer = wire.receive(sock)
assert answer.pong.payload == b"still there", answer
PEER
PYTHONPATH=$tests/lib /usr/bin/python3 "$tmp/peer.py" "$tmp/src" || fail "see above"
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_done
same_bytes "$tmp/src" "$tmp/dst"
