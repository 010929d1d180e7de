# Where io_uring is refused, as in most containers, local devices use libuv's thread pool: said once, no error.
source "$(dirname "$0")/../lib/functions.sh"
requires jq strace
strace -o /dev/null true 2>/dev/null || skip "strace does not work here"

# The leak checker cannot run in a traced process.
export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0
random_file "$tmp/src" 4M
kcopyd_under="strace -D -f -qq -o $tmp/strace -e trace=io_uring_setup -e inject=io_uring_setup:error=ENOSYS"
start_kcopyd --lanes 2
copy "$tmp/src" "$tmp/dst"
expect_done
same_bytes "$tmp/src" "$tmp/dst"
grep -q io_uring_setup "$tmp/strace" || fail "nobody asked for io_uring: the test shows nothing"
[ "$(grep -c 'io_uring is refused' "$kcopyd_log")" = 1 ] || fail "not said exactly once: $(cat "$kcopyd_log")"
ctl info
grep -q threads "$out" || fail "info: $(cat "$out")"
