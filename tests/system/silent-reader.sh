# A peer that submits and never reads is not read from; the daemon's anonymous memory stays within its bound, and
# others are served meanwhile.
# limit: 90
# builds: release
source "$(dirname "$0")/../lib/functions.sh"
requires jq protoc
random_file "$tmp/src" 64K
start_kcopyd --pages 4096
copy "$tmp/src" "$tmp/dst"
expect_done
before=$(rss_anon_kib "$kcopyd_pid")

cat >"$tmp/peer.py" <<'PEER'
import os, signal, socket, sys, time
import wire
sock = wire.connect()
wire.hello(sock, 64)
sock.settimeout(2)
sent = 0
try:
    for i in range(2000000):
        data = wire.frame(wire.copy_message(i + 2, sys.argv[1], ["null:"], 1))
        sock.sendall(data)
        sent += 1
except TimeoutError:
    pass
open(sys.argv[2], "w").write(f"{sent}\n")
signal.pause()
PEER
PYTHONPATH=$tests/lib /usr/bin/python3 "$tmp/peer.py" "$tmp/src" "$tmp/sent" &
peer=$!
cleanup_fn end_process $peer
must_wait_for 60 test -s "$tmp/sent"
[ "$(cat "$tmp/sent")" -lt 2000000 ] || fail "the daemon read everything"
copy "$tmp/src" "$tmp/dst2"
expect_done
after=$(rss_anon_kib "$kcopyd_pid")
say "$(cat "$tmp/sent") jobs sent and no answer read: anonymous memory $before KiB before, $after KiB after"
# 16,384 jobs that wait or whose answer does (client_queued_max), 1.7 KiB each, and 8 MiB of history
bound=$((16384 * 17 / 10 + 8192))
[ $((after - before)) -lt $bound ] || fail "anonymous memory grew from $before to $after KiB: by more than $bound"
end_process $peer KILL
