# A block device has one writer, but many names: jobs that use others of its names wait for each other, and are not
# told that it is in use; a job that names it twice is refused for that.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq
requires_loop

random_file "$tmp/one" 4M
random_file "$tmp/two" 4M
truncate -s 32M "$tmp/dst"
attach_loop "$tmp/dst"
ln -s "$loop" "$tmp/link"
mknod "$tmp/node" b $(stat -c '0x%t 0x%T' "$loop")
start_kcopyd

copy "$tmp/one" "$tmp/link" "$tmp/node"
expect_refused 'overlap'

start_copy --rate 4194304 "$tmp/one" "$loop#0+8192"
one_pid=$copy_pid one_out=$copy_out one_errs=$copy_errs
must_wait_for 20 some_job '.state == "running"'
start_copy "$tmp/two" "$tmp/link#4096+8192"
must_wait_for 5 some_job '.state == "waiting" and (.reason | test("in use by job"))'
copy "$tmp/two" "$tmp/node#20480+8192"
expect_done
end_copy "$one_pid" "$one_out" "$one_errs"
expect_done
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_done
same_bytes "$tmp/one" "$tmp/dst" 2097152
same_bytes "$tmp/two" "$tmp/dst" 4194304 0 2097152
same_bytes "$tmp/two" "$tmp/dst" 4194304 0 10485760

# All at once, each opened while others open and close.
pids=
for i in 0 1 2 3 4 5; do
        for name in "$loop" "$tmp/link" "$tmp/node"; do
                start_copy "$tmp/two#0+1024" "$name#$((i * 1024))+1024"
                pids="$pids $copy_pid"
        done
done
for pid in $pids; do
        wait "$pid" || fail "one of many ended with status $?"
done
same_bytes "$tmp/two" "$tmp/dst" 524288 0 2621440

# Somebody else has it: that is said.
/usr/bin/python3 -c 'import os, signal, sys
os.open(sys.argv[1], os.O_RDWR | os.O_EXCL)
os.mkdir(sys.argv[2])
signal.pause()' "$loop" "$tmp/held" &
cleanup_fn end_process $!
must_wait_for 10 test -d "$tmp/held"
copy "$tmp/two#0+8" "$tmp/link#0+8"
expect_refused 'in use'
