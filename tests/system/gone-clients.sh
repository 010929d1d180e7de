# Clients that submit and hang up, over and over, while the device that they name never answers: what they asked for is
# not kept until it does. The daemon's anonymous memory stays within its bound, and it ends at once when it is told to.
# limit: 90
# builds: release
source "$(dirname "$0")/../lib/functions.sh"
requires jq protoc
random_file "$tmp/src" 64K
start_peer --stall greeting
silent=$uri
start_kcopyd --open-timeout 60
copy "$tmp/src" "$tmp/dst"
expect_done
before=$(rss_anon_kib "$kcopyd_pid")

cat >"$tmp/peer.py" <<'PEER'
import sys
import wire
jobs = b"".join(wire.frame(wire.copy_message(i + 2, sys.argv[1], [sys.argv[2]], 1)) for i in range(5000))
ping = wire.pb.ClientMessage(request_id=1)
ping.ping.payload = b"all read"
for round in range(20):
    sock = wire.connect()
    wire.hello(sock, 64)
    sock.sendall(jobs + wire.frame(ping))
    answer = wire.receive(sock)
    assert answer.pong.payload == b"all read", answer
    sock.close()
PEER
PYTHONPATH=$tests/lib /usr/bin/python3 "$tmp/peer.py" "$tmp/src" "$silent" || fail "see above"
alone() {
        [ "$(kcopyctl --json info </dev/null | jq .clients)" = 1 ]
}
must_wait_for 10 alone
after=$(rss_anon_kib "$kcopyd_pid")
say "20 clients with 5,000 jobs each have gone: anonymous memory $before KiB before, $after KiB after"
# what one of them takes, twice
[ $((after - before)) -lt 16384 ] || fail "anonymous memory grew from $before to $after KiB"
