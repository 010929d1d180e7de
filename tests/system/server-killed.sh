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

# One that is started anew on the same socket is the same export: what the dead one had been sent may still be on
# its way to the blocks, so the next job there waits.
start_nbdkit --filter=log --filter=delay file "$tmp/a" "logfile=$tmp/slow.trace" wdelay=60
slow=$uri slow_sock=$sock slow_pid=$pid
start_copy "$tmp/src" "$slow"
must_wait_for 20 grep -q ' Write ' "$tmp/slow.trace"
end_process "$slow_pid" KILL
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_status 1
expect 'd(0).bytes.indeterminate > 0' 'd(0).error.class == "transport"'
rm "$slow_sock"
nbdkit -f --exit-with-parent -P "$tmp/again.pid" -U "$slow_sock" file "$tmp/a" </dev/null 2>/dev/null >&2 &
pid=$!
cleanup_fn end_process $pid KILL
must_wait_for 20 nbdkit_ready "$tmp/again.pid" $pid
start_copy "$tmp/src" "$slow"
must_wait_for 10 some_job '.state == "waiting" and (.reason | test("may still land"))'
end_copy "$copy_pid" "$copy_out" "$copy_errs"
expect_done
same_bytes "$tmp/src" "$tmp/a"
