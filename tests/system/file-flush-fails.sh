# fdatasync or fsync of a local file fails: not durable, and every byte of that file is indeterminate.
source "$(dirname "$0")/../lib/functions.sh"
requires jq strace
strace -o /dev/null true 2>/dev/null || skip "strace does not work here"

export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0
random_file "$tmp/src" 2M
random_file "$tmp/dst" 2M
kcopyd_state= # which would find out at once
kcopyd_under="strace -D -f -qq -o $tmp/strace -e trace=fdatasync,fsync -e inject=fdatasync,fsync:error=EIO"
start_kcopyd --io threads
copy "$tmp/src" "$tmp/dst"
expect_status 1
expect '.state == "failed"' '.durable == false' '.write_err == [0]' 'd(0).error.errno == "EIO"' \
        'd(0).bytes.copied == 0' 'd(0).bytes.indeterminate == 2097152'
grep -q INJECTED "$tmp/strace" || fail "nothing was flushed: the test shows nothing"
copy --durability none "$tmp/src" "$tmp/dst"
expect_done
expect '.durable == false'
