# DEVICE#START+COUNT on the command line: plain numbers are sectors, with a unit bytes; a tail of another form
# belongs to the name; file:NAME takes the name as it is.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 4M
random_file "$tmp/odd#name" 64K
random_file "$tmp/disk#8+8" 64K
start_kcopyd
# into TARGET OFFSET LENGTH ARGS…: what landed is the source's bytes from OFFSET on.
into() {
        rm -f "$tmp/dst"
        copy "${@:3}" "$tmp/dst"
        expect_done
        expect ".length_bytes == $2"
        same_bytes "$tmp/src" "$tmp/dst" "$2" "$1" 0
}
into 0 4194304 "$tmp/src"
into 4096 8192 "$tmp/src#8+16"
into 1048576 2097152 "$tmp/src#1MiB+2MiB"
into 65536 512 "$tmp/src#64KiB+1"
into 1024 512 "$tmp/src#1KiB+512B"
into 4190208 4096 "$tmp/src#8184+0"

rm -f "$tmp/dst"
copy "$tmp/odd#name" "$tmp/dst"
expect_done
same_bytes "$tmp/odd#name" "$tmp/dst"
rm -f "$tmp/dst"
copy "file:$tmp/disk#8+8" "$tmp/dst"
expect_done
same_bytes "$tmp/disk#8+8" "$tmp/dst"

# Bytes in multiples of 512 only.
copy "$tmp/src#1000B+512B" "$tmp/none"
expect_status 2
copy "$tmp/src#99999999999999999999+1" "$tmp/none"
[ "$status" != 0 ] || fail "a number that does not fit was taken"
[ ! -e "$tmp/none" ] || fail "a file was made"
