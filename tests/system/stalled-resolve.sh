# A name server that does not answer: the job is refused in time, and a second job on the lane is unaffected.
# limit: 90
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq unshare
requires_root "for a resolv.conf of its own"
requires_namespaces "for a resolv.conf of its own"

# A port 53 in a network of its own that is open and says nothing; the daemon lives there too.
printf 'nameserver 127.0.0.1\noptions timeout:30 attempts:1\n' >"$tmp/resolv.conf"
printf 'hosts: dns\n' >"$tmp/nsswitch.conf"
cat >"$tmp/inside" <<'INSIDE'
#!/bin/bash
mount --bind "$KCOPY_TEST_ID/resolv.conf" /etc/resolv.conf
mount --bind "$KCOPY_TEST_ID/nsswitch.conf" /etc/nsswitch.conf
ip link set lo up
/usr/bin/python3 -c '
import socket, sys, threading
quiet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
quiet.bind(("127.0.0.1", 53))
open(sys.argv[1], "w").write("ready")
threading.Event().wait()' "$KCOPY_TEST_ID/dns" &
echo $! >"$KCOPY_TEST_ID/dns.pid"
until [ -s "$KCOPY_TEST_ID/dns" ]; do sleep 0.02; done
exec "$@"
INSIDE
chmod +x "$tmp/inside"
# The sockets of a network namespace are not in our /proc/net/unix: the socket file is what can be seen.
listening_unix() {
        [ -S "$1" ]
}
kcopyd_under="unshare --mount --net --propagation private $tmp/inside"
start_kcopyd --quarantine 3 --lanes 1 --open-timeout 3
cleanup_fn eval 'kill "$(cat "$tmp/dns.pid")" 2>/dev/null'
random_file "$tmp/src" 1M
start_copy --timeout 2 nbd://disk.example.com/ "$tmp/new"
copy "$tmp/src" "$tmp/dst"
expect_done
expect '.elapsed_ms < 4000'
began=$(now_ms)
end_copy "$copy_pid" "$copy_out" "$copy_errs"
took=$(($(now_ms) - began))
expect_status 3
[ $took -lt 12000 ] || fail "took $took ms"
[ ! -e "$tmp/new" ] || fail "a refused job made its file"
# The resolver's thread is still stuck: the daemon leaves without it.
kill_kcopyd TERM
