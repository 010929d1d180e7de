# A running job whose I/O does not answer shows "stalled on X since …".
# limit: 90
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 2M
truncate -s 2M "$tmp/a"
start_faulty "$tmp/a"
faults "$control" "write 0 4096 hang"
start_kcopyd --quarantine 3
start_copy --timeout 60 "$tmp/src" "$uri"
must_wait_for 30 some_job '.state == "running" and (.reason | test("stalled on"))'
faults "$control"
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_done
same_bytes "$tmp/src" "$tmp/a"
