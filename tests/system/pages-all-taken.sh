# A client that has reserved all pages keeps nobody from looking and cancelling; copies of others are refused meanwhile,
# and who has no wish of his own leaves some to those who come later.
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 4M
truncate -s 4M "$tmp/dst"
export_file "$tmp/dst"
kcopyd_state= start_kcopyd --pages 1024
start_copy --pages 1024 --rate 262144 "$tmp/src" "$uri"
must_wait_for 20 copied_some "$tmp/dst" # looking would take a page of its own
copy "$tmp/src" "$tmp/other"
expect_refused 'pages' 'other clients'
[ ! -e "$tmp/other" ] || fail "refused, and made a file"
ctl info
expect_status 0
ctl cancel "$(kcopyctl --json jobs </dev/null | jq -s 'flatten | map(.jobs? // .) | flatten | .[0].job')"
expect_status 0
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect '.state == "cancelled"'

pids=
for i in 1 2 3 4 5; do
        start_copy --rate 2097152 "$tmp/src" "$tmp/dst$i"
        pids="$pids $copy_pid"
done
for pid in $pids; do
        wait "$pid" || fail "one of several at once ended with status $?"
done
for i in 1 2 3 4 5; do
        same_bytes "$tmp/src" "$tmp/dst$i"
done
