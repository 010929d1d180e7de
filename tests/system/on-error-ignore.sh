# ignore (kcopyd's IGNORE_ERROR): everything is gone through, and what failed is reported by range.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 8M
truncate -s 8M "$tmp/a" "$tmp/b"
export_file "$tmp/src"
src=$uri
start_faulty "$tmp/a"
a=$uri
faults "$control" "write 0 4096 EIO" "write 6291456 4096 EIO"
export_file "$tmp/b"
start_kcopyd
copy --on-error ignore "$src" "$a" "$uri"
expect_status 1
expect '.state == "failed"' '.write_err == [0]' 'd(0).error.sector == 0' 'd(0).error.errno == "EIO"' \
        'd(0).bytes.copied > 0' 'd(0).bytes.indeterminate >= 8192' 'd(0).bytes.untouched == 0' \
        'd(1).error == null' 'd(1).bytes.copied == 8388608'
same_bytes "$tmp/src" "$tmp/b"
# The last two megabytes were written after the first failure; between the faults nothing is missing.
same_bytes "$tmp/src" "$tmp/a" 1048576 3145728 3145728
# What is told of it beforehand does not promise more.
jq -es 'any(.[]; .event == "destination" and .index == 0 and .durable)' "$out" >/dev/null &&
        fail "the failed destination was called durable: $(grep '"destination"' "$out")"
exit 0
