# Regular files: made when they are missing, sized exactly without a region, grown but never cut with one; to
# the last byte when the size is no multiple of 512.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

start_kcopyd
for size in 1 511 512 513 4097 1000003; do
        random_file "$tmp/src" $size
        copy "$tmp/src" "$tmp/new-$size"
        expect_done
        expect ".length_bytes == $size" '.durable'
        same_bytes "$tmp/src" "$tmp/new-$size"
done

# A longer destination is cut to the source's size when no region was given …
random_file "$tmp/long" 2M
copy "$tmp/src" "$tmp/long"
expect_done
same_bytes "$tmp/src" "$tmp/long"

# … and kept, apart from the region, when one was.
random_file "$tmp/long" 2M
cp "$tmp/long" "$tmp/was"
copy "$tmp/src#0+8" "$tmp/long#16+8"
expect_done
[ "$(size_bytes "$tmp/long")" = 2097152 ] || fail "a region cut the file"
same_bytes "$tmp/was" "$tmp/long" 8192
same_bytes "$tmp/src" "$tmp/long" 4096 0 8192
same_bytes "$tmp/was" "$tmp/long" $((2097152 - 12288)) 12288 12288

# A region past the end makes the file grow.
random_file "$tmp/short" 1024
cp "$tmp/short" "$tmp/was"
copy "$tmp/src#0+8" "$tmp/short#8+8"
expect_done
[ "$(size_bytes "$tmp/short")" = 8192 ] || fail "grew to $(size_bytes "$tmp/short")"
same_bytes "$tmp/was" "$tmp/short" 1024
same_bytes "$tmp/src" "$tmp/short" 4096 0 4096

# An empty file is copied too.
: >"$tmp/empty"
copy "$tmp/empty" "$tmp/empty-copy"
expect_done
[ -e "$tmp/empty-copy" ] || fail "the copy of an empty file was not made"
copy "$tmp/empty" "$tmp/short"
expect_done
[ "$(size_bytes "$tmp/short")" = 0 ] || fail "the copy of an empty file is not empty"

# What is to be cut is cut at the end: a copy that fails has thrown away no more than it overwrote.
random_file "$tmp/source" 1M
start_faulty "$tmp/source"
faults "$control" "read 0 4096 EIO"
random_file "$tmp/long" 2M
cp "$tmp/long" "$tmp/was"
copy "$uri" "$tmp/long"
expect_status 1
same_bytes "$tmp/was" "$tmp/long" 4096
[ "$(size_bytes "$tmp/long")" = 2097152 ] || fail "cut, and then it failed"
same_bytes "$tmp/was" "$tmp/long" 1048576 1048576 1048576
