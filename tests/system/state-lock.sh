# One daemon per state folder: a second one is refused with the reason, and the folder is free once the first has gone,
# however it went.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"

start_kcopyd --state "$tmp/state"
[ "$(stat -c %a "$tmp/state")" = 700 ] || fail "mode $(stat -c %a "$tmp/state")"
status=0
timeout 10 kcopyd --listen "unix:$tmp/second.sock" --state "$tmp/state" >"$out" 2>"$errs" </dev/null || status=$?
expect_status 1
grep -q "^kcopyd: --state: $tmp/state: another kcopyd uses it" "$errs" || fail "the message: $(cat "$errs")"
[ ! -e "$tmp/second.sock" ] || fail "it came to listen"
ctl info
expect_status 0

kill_kcopyd
start_kcopyd --state "$tmp/state"
ctl info
expect_status 0
