# A block device that fails in one place: class media on the right endpoint; what is read from there is never written.
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq
requires_loop

random_file "$tmp/src" 4M
truncate -s 4M "$tmp/disk"
control=$tmp/control
: >"$control"
start_nbdfuse "$KCOPY_TEST_LIB/nbdkit-faulty-plugin.so" file="$tmp/disk" control="$control"
attach_loop "$fuse" --direct-io=on
start_kcopyd
faults "$control" "any 1048576 4096 EIO"
copy --on-error ignore "$tmp/src" "$loop"
expect_status 1
# Written through the page cache it shows at the flush at the latest, and then everything is in doubt.
expect '.state == "failed"' '.write_err == [0]' 'd(0).error.class == "media"' 'd(0).error.errno == "EIO"' \
        '(re | not)' 'd(0).bytes.indeterminate > 0' 'd(0).durable == false' \
        'd(0).error.sector == null or d(0).error.sector <= 2048'
faults "$control"
copy "$tmp/src" "$loop"
expect_done
same_bytes "$tmp/src" "$loop"

faults "$control" "read 2097152 4096 EIO"
copy "$loop" "$tmp/dst"
expect_status 1
expect 're' '.source.error.class == "media"' '.source.error.sector <= 4096' '.write_err == [0]'
faults "$control"
