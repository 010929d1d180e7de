# Listeners: several Unix sockets and TCP ports; TCP without TLS only with --plaintext; a socket has mode 0660.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 1M
port=$(free_port)
status=0
timeout 10 kcopyd --listen "tcp:127.0.0.1:$port" --state "$tmp" >"$out" 2>"$errs" </dev/null || status=$?
[ $status != 0 ] && [ $status != 124 ] || fail "TCP without TLS and without --plaintext: status $status"
grep -qi plaintext "$errs" || fail "the message does not say --plaintext: $(cat "$errs")"

start_kcopyd --listen "unix:$tmp/second.sock" --listen "tcp:127.0.0.1:$port" --plaintext
must_wait_for 10 listening_tcp "$port"
[ "$(stat -c %a "$kcopyd_socket")" = 660 ] || fail "mode $(stat -c %a "$kcopyd_socket")"
for server in "$KCOPYD_SERVER" "unix:$tmp/second.sock" "tcp:127.0.0.1:$port"; do
        ctl --server "$server" info
        expect_status 0
done
copied() {
        rm -f "$tmp/dst"
        kcopyctl --server "$1" copy "$tmp/src" "$tmp/dst" </dev/null >"$out" 2>"$errs" || fail "$1: $(cat "$errs")"
        same_bytes "$tmp/src" "$tmp/dst"
}
copied "unix:$tmp/second.sock"

# Ports do not wrap.
status=0
timeout 10 kcopyd --listen tcp:127.0.0.1:$((65536 + port)) --plaintext --state "$tmp/state" >"$out" 2>"$errs" </dev/null || status=$?
expect_status 2
grep -q "at most 65535" "$errs" || fail "the message: $(cat "$errs")"
ctl --server tcp:127.0.0.1:$((65536 + port)) info
[ $status != 0 ] || fail "a port above 65535 was found"

# Anything but a number is no port; without one it is the default.
for wrong in abc -1 ""; do
        status=0
        timeout 10 kcopyd --listen "tcp:127.0.0.1:$wrong" --plaintext >"$out" 2>"$errs" </dev/null || status=$?
        expect_status 2
        grep -q "^kcopyd: --listen: tcp:127.0.0.1:$wrong: write tcp:HOST\[:PORT\]" "$errs" || fail "port \"$wrong\": $(cat "$errs")"
done
if ! listening_tcp 10810; then
        timeout 10 kcopyd --listen tcp:127.0.0.1 --plaintext >"$tmp/kcopyd.default.log" 2>&1 </dev/null &
        default=$!
        must_wait_for 10 grep -qE 'ready listen=tcp:127.0.0.1:10810 |address already in use' "$tmp/kcopyd.default.log"
        end_process $default
fi

# The folder of a socket is not made.
status=0
timeout 10 kcopyd --listen "unix:$tmp/nosuch/sock" --state "$tmp/state" >"$out" 2>"$errs" </dev/null || status=$?
expect_status 1
grep -q "there is no folder $tmp/nosuch; create it, or" "$errs" || fail "the message: $(cat "$errs")"
[ ! -e "$tmp/nosuch" ] || fail "it made the folder"

# A socket that somebody listens on is not taken over; one that was left behind is.
status=0
timeout 10 kcopyd --listen "$KCOPYD_SERVER" --state "$tmp" >"$out" 2>"$errs" </dev/null || status=$?
[ $status != 0 ] && [ $status != 124 ] || fail "two daemons on one socket: status $status"
ctl info
expect_status 0
kill_kcopyd
[ -S "$kcopyd_socket" ] || fail "no socket was left behind to try this with"
kcopyd --listen "unix:$kcopyd_socket" --state "$tmp" >"$tmp/kcopyd.again.log" 2>&1 </dev/null &
again=$!
cleanup_fn kcopyd_ends $again
must_wait_for 10 listening_unix "$kcopyd_socket"
