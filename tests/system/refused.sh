# Validation before I/O: each rule refuses, with the field and the reason; the servers' traces show no write, no
# zero and no trim, and no file was made.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 1M
truncate -s 1M "$tmp/a" "$tmp/b"
truncate -s 512K "$tmp/small"
export_logged "$tmp/a"
a=$uri a_trace=$trace
export_logged "$tmp/b" --filter=blocksize-policy blocksize-minimum=4096 blocksize-error-policy=error
coarse=$uri coarse_trace=$trace
export_logged "$tmp/small"
small=$uri small_trace=$trace
start_kcopyd

# refuse PATTERN… -- ARGS…: a new file is among the destinations every time.
refuse() {
        local patterns=()
        while [ "$1" != -- ]; do
                patterns+=("$1")
                shift
        done
        shift
        copy "$@" "$tmp/new"
        expect_refused "${patterns[@]}"
        [ ! -e "$tmp/new" ] || fail "a refused job made its file: $*"
}

refuse 'from' 'size|end|2048' -- "$tmp/src#2040+16" "$a"
refuse 'from' -- "$tmp/src#4096+1" "$a"
refuse 'to\[0\]' 'size|end|fit|small|1024' -- "$tmp/src" "$small"
refuse 'to\[1\]' 'size|end|fit|small' -- "$tmp/src" "$a" "$small"
refuse 'to\[0\]' -- "$tmp/src#0+16" "$a#2040+16"
refuse 'to\[0\]' 'length|equal|count' -- "$tmp/src#0+16" "$a#0+8"
refuse 'to\[0\]' 'align|multiple|4096|block' -- "$tmp/src#0+8" "$coarse#1+8"
refuse 'to\[1\]' 'overlap|same' -- "$tmp/src#0+16" "$a#0+16" "$a#8+16"
refuse 'to\[0\]' 'overlap|same' -- "$tmp/src#0+16" "$tmp/src#8+16"
refuse 'to\[0\]' 'no such device' -- "$tmp/src" "/dev/kcopy-no-such-device"
refuse 'from' 'no such|not exist|ENOENT|not found' -- "$tmp/nothing" "$a"
refuse 'to\[0\]' 'no such|not exist|ENOENT|not found' -- "$tmp/src" "$tmp/no/such/folder/file"
refuse 'from' -- no-such-endpoint "$a"
refuse 'to\[1\]' 'name|endpoint|not found' -- "$tmp/src" "$a" no-such-endpoint
refuse 'from' 'connect|refused|no such|ENOENT' -- "nbd+unix:///?socket=$tmp/no.sock" "$a"
refuse 'from' 'null' -- null: "$a"
refuse 'from|source' 'directory|EISDIR|regular|block' -- "$tmp" "$a"
refuse 'page|reserv' 'limit|pages|minimum' -- --pages 1 "$tmp/src" \
        [ nbdkit --exit-with-parent --filter=blocksize-policy memory 1M blocksize-minimum=64K blocksize-preferred=64K blocksize-error-policy=error ]

# In the words of the command line, each thing once.
says() {
        local text=$1
        shift
        ctl copy "$@"
        expect_status 3
        [ "$(cat "$errs")" = "kcopyctl: $text" ] || fail "not \"$text\": $(cat "$errs")"
}
says "$tmp/src#4096+8: refused: sector 4096 is beyond the end of the device, which has 1048576 bytes; its last sector is 2047" \
        "$tmp/src#4096+8" "$tmp/new"
says "$tmp/src#0+4096: refused: 4096 sectors from sector 0 on pass the end of the device, which has 1048576 bytes; give a count of at most 2048, or of 0 for all to its end (in #START+COUNT)" \
        "$tmp/src#0+4096" "$tmp/new"
says "$tmp/a#0+1: refused: the region has 512 bytes, the job 1048576; lengths must be equal: give a count of 2048, or of 0 for the job's length (in #START+COUNT)" \
        "$tmp/src" "$tmp/a#0+1"
says "$small: refused: 1048576 bytes from sector 0 on pass the end of the device, which has 524288 bytes; name a larger one, or at most 1024 sectors of the source; a part of a device is written DEVICE#START+COUNT" \
        "$tmp/src" "$small"
says "$tmp/src: refused: overlaps with the source ($tmp/src): both are the same file; name regions that share no bytes" \
        "$tmp/src" "$tmp/src"
says "$tmp/no-such: refused: No such file or directory; is the name right?" "$tmp/no-such" "$tmp/new"
says "$tmp/no/file: refused: its directory: No such file or directory; only the last part of a path is made, its folder must be there" \
        "$tmp/src" "$tmp/no/file"
says "/dev/null: refused: is a character device; only regular files and block devices can be copied; null: keeps nothing" \
        "$tmp/src" /dev/null
says "$tmp/a\\x0ab: refused: No such file or directory; is the name right?" "$tmp/a"$'\n'b "$tmp/new"
says "src: refused: no endpoint of this name; give an absolute path, an NBD URI or null:; a file is ./NAME" src "$tmp/new"
ctl copy --pages 1 "$tmp/src" \
        [ nbdkit --exit-with-parent --filter=blocksize-policy memory 1M blocksize-minimum=64K blocksize-preferred=64K blocksize-error-policy=error ]
grep -q '^kcopyctl: --pages: the reservation of 1 is too small' "$errs" || fail "pages: $(cat "$errs")"
no_writes "$a_trace" "$coarse_trace" "$small_trace"
cmp -s -n 1048576 /dev/zero "$tmp/a" || fail "a refused job wrote"

# A tail that cannot be merged: the same numbers are fine where they can.
copy "$tmp/src#0+8" "$coarse#8+8"
expect_done
