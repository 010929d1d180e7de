# Jobs with names of 60 KiB together: what the daemon keeps of those that have ended, and of those that wait, stays
# within what it says (history_max_bytes, client_queued_max_bytes).
# limit: 90
# builds: release
source "$(dirname "$0")/../lib/functions.sh"
requires protoc
random_file "$tmp/src" 4K
random_file "$tmp/large" 16M
for i in {0..13}; do truncate -s 4K "$tmp/dst$i"; done
start_kcopyd

cat >"$tmp/peer.py" <<'PEER'
import signal, sys
import wire
source, destination, sent_file, large = sys.argv[1:]


def long_name(name):
    return "/" + "./" * 1900 + name.lstrip("/")


def message(request_id):
    return wire.copy_message(request_id, long_name(source), [long_name(f"{destination}{i}") for i in range(14)], count=8)


def receive(sock, body):
    while True:
        got = wire.receive(sock)
        if got.WhichOneof("body") == body:
            return got
        assert got.WhichOneof("body") != "refused", got


signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
sock = wire.connect()
wire.hello(sock, 64)
sock.settimeout(30)
for i in range(1000):
    sock.sendall(wire.frame(message(2 + i)))
    receive(sock, "completion")
open(sent_file, "w").write("1000\n")
signal.sigwait({signal.SIGUSR1})

# the first holds what all others wait for
slow = wire.copy_message(2000, large, [f"{destination}0"])
slow.copy.options.rate_bytes_per_s = 1 << 16
sock.sendall(wire.frame(slow))
receive(sock, "accepted")
sock.settimeout(3)
n = 0
try:
    while n < 3000:
        sock.sendall(wire.frame(message(3000 + n)))
        n += 1
except TimeoutError:
    pass
open(sent_file, "w").write(f"{n} sent\n")
signal.pause()
PEER
touch "$tmp/sent"
before=$(rss_anon_kib "$kcopyd_pid")
PYTHONPATH=$tests/lib /usr/bin/python3 "$tmp/peer.py" "$tmp/src" "$tmp/dst" "$tmp/sent" "$tmp/large" &
peer=$!
cleanup_fn end_process $peer
must_wait_for 60 test -s "$tmp/sent"
ended=$(rss_anon_kib "$kcopyd_pid")
say "1,000 jobs have ended: anonymous memory $before KiB before, $ended KiB after"
# 8 MiB of history, as much again for what the heap has free between, and the rest of the daemon
[ $((ended - before)) -lt 24576 ] || fail "the history takes $((ended - before)) KiB"
kill -USR1 $peer
must_wait_for 60 grep -q sent "$tmp/sent"
queued=$(rss_anon_kib "$kcopyd_pid")
say "$(cat "$tmp/sent"), and they wait: $queued KiB"
# 32 MiB, and what the sockets and one frame's buffer hold
[ "$(cut -d' ' -f1 "$tmp/sent")" -lt 700 ] || fail "the daemon read more than it may keep"
[ $((queued - ended)) -lt 49152 ] || fail "the queue takes $((queued - ended)) KiB"
end_process $peer KILL
