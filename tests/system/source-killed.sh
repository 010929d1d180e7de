# A source whose server dies in mid-copy ends the job with read_err, class transport.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 64M
truncate -s 64M "$tmp/a"
start_nbdkit --filter=rate file "$tmp/src" rate=128M
src=$uri src_pid=$pid
export_file "$tmp/a"
start_kcopyd --quarantine 3
start_copy "$src" "$uri"
must_wait_for 20 copied_some "$tmp/a"
end_process "$src_pid" KILL
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_status 1
expect '.state == "failed"' 're' '.source.error.class == "transport"' '.write_err == [0]'
