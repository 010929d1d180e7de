# The exit statuses: 0 done, 1 failed or not as durable as asked, 2 usage, 3 refused, 4 no server, 5 outcome unknown.
# (usage.sh has more of 2, interrupt.sh and interrupt-twice.sh have Ctrl-C.)
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 1M
export KCOPYD_SERVER=unix:$tmp/nobody
ctl jobs
expect_status 4
ctl copy "$tmp/src" "$tmp/new"
expect_status 4
grep -q '^kcopyctl: ' "$errs" || fail "the message: $(cat "$errs")"
unset KCOPYD_SERVER

start_kcopyd --quarantine 3
ctl copy "$tmp/src" "$tmp/dst"
expect_status 0
ctl copy "$tmp/src"
expect_status 2
# shellcheck disable=SC2016
start_nbdkit eval get_size='echo 1M' can_write='exit 0' can_flush='exit 3' pread='exit 1' pwrite='cat >/dev/null'
ctl copy "$tmp/src" "$uri"
expect_status 1
grep -q 'not durable' "$errs" || fail "the message: $(cat "$errs")"
ctl copy --durability none "$tmp/src" "$uri"
expect_status 0
ctl copy "$tmp/nothing" "$tmp/dst"
expect_status 3
grep -q '^kcopyctl: .*nothing' "$errs" || fail "the message: $(cat "$errs")"
start_nbdkit full 1M
ctl copy "$tmp/src" "$uri"
expect_status 1
grep -q 'No space left.*; it stays incomplete$' "$errs" || fail "the message: $(cat "$errs")"

# The daemon is killed in mid-copy: nobody knows the outcome.
truncate -s 64M "$tmp/big"
start_faulty "$tmp/big"
faults "$control" "write 0 67108864 hang"
random_file "$tmp/src64" 64M
start_copy "$tmp/src64" "$uri"
must_wait_for 10 grep -q '^write' "$trace"
kill_kcopyd
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_status 5
faults "$control"
