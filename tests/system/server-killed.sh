# A destination whose server dies in mid-copy: class transport, the other destination completes, and the daemon
# goes on.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 64M
truncate -s 64M "$tmp/a" "$tmp/b"
start_nbdkit --filter=rate file "$tmp/src" rate=128M
src=$uri
export_file "$tmp/a"
a=$uri a_pid=$pid
export_file "$tmp/b"
start_kcopyd --quarantine 3
start_copy --on-error continue "$src" "$a" "$uri"
must_wait_for 20 copied_some "$tmp/a"
end_process "$a_pid" KILL
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_status 1
expect '.state == "failed"' '.write_err == [0]' 'd(0).error.class == "transport"' 'd(1).error == null' \
        'd(0).bytes.copied < 67108864' '(re | not)'
same_bytes "$tmp/src" "$tmp/b"
copy "$tmp/src" "$uri"
expect_done
