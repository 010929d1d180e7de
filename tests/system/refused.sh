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
no_writes "$a_trace" "$coarse_trace" "$small_trace"
cmp -s -n 1048576 /dev/zero "$tmp/a" || fail "a refused job wrote"

# A tail that cannot be merged: the same numbers are fine where they can.
copy "$tmp/src#0+8" "$coarse#8+8"
expect_done
