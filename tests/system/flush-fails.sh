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

# Without durability nobody asks.
copy --durability none "$tmp/src" "$a"
expect_done
expect '.durable == false'
