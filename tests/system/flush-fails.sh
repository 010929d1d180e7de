# A flush that fails: the copy is not durable, and no byte of that destination is reported as copied; the flush
# is not sent again and believed.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 2M
truncate -s 2M "$tmp/a" "$tmp/b"
start_faulty "$tmp/a"
a=$uri a_trace=$trace
faults "$control" "flush 0 0 EIO"
export_file "$tmp/b"
start_kcopyd
copy --on-error continue "$tmp/src" "$a" "$uri"
expect_status 1
expect '.state == "failed"' '.durable == false' '.write_err == [0]' 'd(0).durable == false' \
        'd(0).error.errno == "EIO"' 'd(0).bytes.copied == 0' 'd(0).bytes.indeterminate == 2097152' \
        'd(1).durable' 'd(1).error == null'
[ "$(grep -c '^flush' "$a_trace")" = 1 ] || fail "a failed flush was sent again"
same_bytes "$tmp/src" "$tmp/b"

# It concerns everybody who writes to the same export, by whatever name, and whether he has asked for a flush or not.
start_faulty "$tmp/a"
faults "$control" "flush 0 0 EIO"
ln -s "$sock" "$tmp/second.sock"
start_copy --durability none --rate 524288 "$tmp/src#0+2048" "nbd+unix:///?socket=$tmp/second.sock#0+2048"
must_wait_for 20 grep -q '^write 0 ' "$trace"
copy "$tmp/src#2048+8" "$uri#2048+8"
expect_status 1
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_status 1
expect 'd(0).error.errno == "EIO"' 'd(0).bytes.copied == 0' 'd(0).bytes.indeterminate == 1048576'

# Nor is a later flush by that name believed.
start_faulty "$tmp/a"
faults "$control" "flush 0 0 EIO"
ln -s "$sock" "$tmp/third.sock"
start_copy --rate 524288 "$tmp/src#0+2048" "nbd+unix:///?socket=$tmp/third.sock#0+2048"
must_wait_for 20 grep -q '^write 0 ' "$trace"
copy "$tmp/src#2048+8" "$uri#2048+8"
expect_status 1
faults "$control"
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_status 1
expect '.durable == false' 'd(0).durable == false' 'd(0).error.errno == "EIO"' 'd(0).bytes.indeterminate == 1048576'

# Without durability nobody asks.
copy --durability none "$tmp/src" "$a"
expect_done
expect '.durable == false'
