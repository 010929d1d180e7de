# A source that cannot be read in one place: read_err, its sector, and what was not read was not written.
# labels: core
# variants: stop continue ignore
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 8M
random_file "$tmp/dst" 8M
cp "$tmp/dst" "$tmp/was"
start_faulty "$tmp/src"
faults "$control" "read 4194304 4096 EIO"
src=$uri
export_file "$tmp/dst"
start_kcopyd
copy --on-error "$1" "$src" "$uri"
expect_status 1
expect '.state == "failed"' 're' '.source.error.class == "media"' '.source.error.errno == "EIO"' \
        '.source.error.sector <= 8192' '.source.error.sector + 65536 > 8192' '.write_err == [0]' \
        'd(0).error != null' 'd(0).bytes.untouched > 0'
# Data that was not read is never written.
same_bytes "$tmp/was" "$tmp/dst" 4096 4194304 4194304
if [ "$1" = ignore ]; then
        expect 'd(0).bytes.copied > 4194304' 'd(0).bytes.copied + d(0).bytes.untouched == 8388608'
        same_bytes "$tmp/src" "$tmp/dst" 2097152 6291456 6291456
fi
