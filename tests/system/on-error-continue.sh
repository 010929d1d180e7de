# continue: a failing destination drops out, the others are complete.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 8M
truncate -s 8M "$tmp/a" "$tmp/b" "$tmp/c"
export_file "$tmp/src"
src=$uri
export_file "$tmp/a"
a=$uri
start_faulty "$tmp/b"
b=$uri
faults "$control" "write 0 4096 EIO"
export_file "$tmp/c"
start_kcopyd
copy --on-error continue "$src" "$a" "$b" "$uri"
expect_status 1
expect '.state == "failed"' '(re | not)' '.write_err == [1]' '.durable == false' \
        'd(0).error == null' 'd(0).durable' 'd(2).error == null' 'd(2).durable' \
        'd(0).bytes.copied == 8388608' \
        'd(1).error.class == "media"' 'd(1).error.errno == "EIO"' 'd(1).error.sector == 0' \
        'd(1).bytes.untouched > 0'
same_bytes "$tmp/src" "$tmp/a"
same_bytes "$tmp/src" "$tmp/c"
# Its end was told before the job's.
jq -es 'any(.[]; (.event | test("destination")) and .index == 1)' "$out" >/dev/null ||
        fail "no event for the destination that ended early"
# Two of three destinations: what is done is more than half of the job.
ctl jobs --all
grep -qE ' failed +8.0 MiB +(6[6-9]|[7-9][0-9])% ' "$out" || fail "jobs: $(cat "$out")"
