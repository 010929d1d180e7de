# A lost connection cancels its jobs; jobs of others notice nothing.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 32M
truncate -s 32M "$tmp/a" "$tmp/b"
export_file "$tmp/a"
a=$uri
export_file "$tmp/b"
start_kcopyd --quarantine 3
start_copy --rate 16777216 "$tmp/src" "$uri"
b_pid=$copy_pid b_out=$copy_out b_errs=$copy_errs
start_copy --rate 4194304 "$tmp/src" "$a"
must_wait_for 20 copied_some "$tmp/a"
end_process "$copy_pid" KILL
one_running() {
        [ "$(kcopyctl --json jobs </dev/null | jq -s 'flatten | map(.jobs? // .) | flatten | map(select(.state == "running")) | length')" = 1 ]
}
must_wait_for 10 one_running
ctl job $(kcopyctl --json jobs --all </dev/null | jq -s 'flatten | map(.jobs? // .) | flatten | map(select(.state == "cancelled")) | .[0].job')
grep -q "its client has gone" "$out" || fail "nobody knows why it was cancelled: $(cat "$out")"
end_copy "$b_pid" "$b_out" "$b_errs"
expect_done
same_bytes "$tmp/src" "$tmp/b"
