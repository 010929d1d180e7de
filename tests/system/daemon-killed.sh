# A client of a daemon that dies tells the outcome as unknown, and never hangs; the next daemon starts clean.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 16M
start_kcopyd
start_copy --rate 4194304 "$tmp/src" "$tmp/dst"
must_wait_for 20 copied_some "$tmp/dst"
kill_kcopyd
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_status 5
grep -q '^kcopyctl: ' "$copy_errs" || fail "the message: $(cat "$copy_errs")"
start_kcopyd
copy "$tmp/src" "$tmp/dst"
expect_done
same_bytes "$tmp/src" "$tmp/dst"
