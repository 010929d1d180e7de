# A job that waits for a region of a file, which another job cuts meanwhile, makes the file long enough again: by
# whatever name it was opened.
# labels: core
# limit: 60
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 4M
start_kcopyd
for alias in f ./f; do
        random_file "$tmp/f" 16M
        start_copy --rate 4194304 "$tmp/src" "$tmp/f#16384+8192"
        holder=$copy_pid
        must_wait_for 20 some_job '.state == "running"'
        start_copy "$tmp/src" "$tmp/f" # cuts it to 4 MiB
        cutter=$copy_pid
        must_wait_for 20 some_job '.state == "waiting"'
        zero --unmap "$tmp/$alias#24576+4096"
        expect_done
        wait "$holder" || fail "the holder failed"
        wait "$cutter" || fail "the cutter failed"
        [ "$(size_bytes "$tmp/f")" = $(((24576 + 4096) * 512)) ] ||
                fail "$alias: zeroes complete, but the file ends at $(size_bytes "$tmp/f")"
done
