# Holes stay holes in a sparse copy: of a source with extents, of data that is zeroes, into exports and files.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

sparse_file "$tmp/src" 64M 0:65536 33554432:65536
truncate -s 64M "$tmp/a"
export_file "$tmp/src"
src=$uri
export_logged "$tmp/a"
a=$uri a_trace=$trace
start_kcopyd
copy "$src" "$a" "$tmp/b"
expect_done
expect 'd(0).bytes.zeroed + d(0).bytes.copied == 67108864' 'd(0).bytes.copied <= 1048576' \
        'd(1).bytes.copied <= 1048576'
same_bytes "$tmp/src" "$tmp/a"
same_bytes "$tmp/src" "$tmp/b"
[ "$(allocated_bytes "$tmp/a")" -le 4194304 ] || fail "the export's copy: $(allocated_bytes "$tmp/a") bytes"
[ "$(allocated_bytes "$tmp/b")" -le 4194304 ] || fail "the file's copy: $(allocated_bytes "$tmp/b") bytes"
[ "$(grep -c 'Write id=' "$a_trace")" -le 8 ] || fail "zeroes were sent as data"

# --no-extents reads everything and still finds the zeroes.
truncate -s 0 "$tmp/b"
copy --no-extents "$src" "$tmp/b"
expect_done
same_bytes "$tmp/src" "$tmp/b"
[ "$(allocated_bytes "$tmp/b")" -le 4194304 ] || fail "zeroes that were read: $(allocated_bytes "$tmp/b") bytes"

# --allocated keeps the blocks.
truncate -s 0 "$tmp/b"
copy --allocated "$src" "$tmp/b"
expect_done
same_bytes "$tmp/src" "$tmp/b"
[ "$(allocated_bytes "$tmp/b")" -ge 67108864 ] || fail "--allocated: $(allocated_bytes "$tmp/b") bytes"
