# A destination that stops answering: the job ends within its deadline with the class timeout; a second job, to
# another destination, is done long before.
# labels: core
# limit: 90
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 8M
truncate -s 8M "$tmp/a" "$tmp/b"
start_faulty "$tmp/a"
a=$uri
faults "$control" "write 4194304 4096 hang"
export_file "$tmp/b"
start_kcopyd --quarantine 3 --lanes 1
began=$(now_ms)
start_copy --timeout 5 "$tmp/src" "$a"
copy "$tmp/src" "$uri"
expect_done
same_bytes "$tmp/src" "$tmp/b"
alive "$copy_pid" || fail "the other job was held up"
# While it lasts the job says so.
end_copy "$copy_pid" "$copy_out" "$copy_errs"
took=$(($(now_ms) - began))
expect_status 1
expect '.state == "failed"' '.write_err == [0]' 'd(0).error.class == "timeout"' 'd(0).error.sector <= 8192' \
        'd(0).error.message | test("within 5 s")' \
        'd(0).bytes.indeterminate > 0' '.durable == false'
grep -q -- '--timeout SECONDS sets it' "$errs" || fail "how to have it wait longer is not said: $(cat "$errs")"
[ $took -ge 4900 ] && [ $took -lt 15000 ] || fail "took $took ms"
faults "$control"
