# The name of a Unix socket: a stale one is replaced, one that is answered is left alone, and so is what is no socket;
# an orderly end takes it away, but not a name that is another's by now.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"

# refused_at PATH PATTERN: no daemon comes to listen there.
refused_at() {
        status=0
        timeout 10 kcopyd --listen "unix:$1" >"$out" 2>"$errs" </dev/null || status=$?
        expect_status 1
        grep -q "$2" "$errs" || fail "the message: $(cat "$errs")"
}

echo precious >"$tmp/file"
refused_at "$tmp/file" 'is no socket'
grep -q precious "$tmp/file" || fail "a file was replaced"

start_kcopyd
live=$kcopyd_socket
refused_at "$live" 'another server answers there'
ctl info
expect_status 0
kcopyd_ends $kcopyd_pid
[ ! -e "$live" ] || fail "the socket's name was left behind"

start_kcopyd
stale=$kcopyd_socket
kill_kcopyd
[ -S "$stale" ] || fail "no stale socket to try this with"
kcopyd --listen "unix:$stale" >"$tmp/kcopyd.again.log" 2>&1 </dev/null &
again=$!
cleanup_fn kcopyd_ends $again
must_wait_for 10 listening_unix "$stale"
ctl --server "unix:$stale" info
expect_status 0

# Somebody else took the name meanwhile.
rm "$stale"
echo precious >"$stale"
kcopyd_ends $again
grep -q precious "$stale" || fail "another's file was removed"
