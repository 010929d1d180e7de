# The private daemon of a copy is killed in mid-copy: status 5, the message says so, and nothing is left behind.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 16M
start_copy --rate 4194304 "$tmp/src" "$tmp/dst"
must_wait_for 20 copied_some "$tmp/dst"
daemon=$(pgrep -P "$copy_pid" -x kcopyd)
kill -KILL "$daemon"
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_status 5
grep -q '^kcopyctl: kcopyd: the private daemon .*not known$' "$errs" || fail "the message: $(cat "$errs")"
must_wait_for 5 none_left
