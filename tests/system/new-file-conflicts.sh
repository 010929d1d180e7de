# A file that a job creates is the same file to every job from then on, by whatever name: they wait for it, or are
# refused where it would be read and written by one.
# labels: core
# limit: 60
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/one" 8M
random_file "$tmp/two" 8M
start_kcopyd

create() {
        rm -f "$tmp/new"
        start_copy --rate 4194304 "$tmp/one" "$tmp/new"
        creator=$copy_pid
        must_wait_for 20 test -e "$tmp/new"
}

# A reader waits until it is whole.
create
copy "$tmp/new" "$tmp/other"
expect_done
wait "$creator" || fail "the creator failed"
same_bytes "$tmp/one" "$tmp/other"

# A writer by another name, and by another link, comes second.
for alias in "$tmp/./new" "$tmp/hard"; do
        create
        [ "$alias" != "$tmp/hard" ] || ln "$tmp/new" "$tmp/hard"
        copy "$tmp/two" "$alias"
        expect_done
        wait "$creator" || fail "the creator failed"
        same_bytes "$tmp/two" "$tmp/new"
        rm -f "$tmp/hard"
done

# Opened by two jobs when there was no such file yet: the second finds it made by the first, and is opened again.
rm -f "$tmp/new"
start_copy --rate 4194304 "$tmp/one" "$tmp/held"
holder=$copy_pid
must_wait_for 20 some_job '.state == "running"'
start_copy "$tmp/one" "$tmp/held" "$tmp/new"
first=$copy_pid
must_wait_for 20 some_job '.state == "waiting"'
[ ! -e "$tmp/new" ] || fail "the file was made before its job's turn had come"
copy "$tmp/two" "$tmp/./new"
expect_done
wait "$holder" || fail "the holder failed"
wait "$first" || fail "the first one failed"
same_bytes "$tmp/two" "$tmp/new"
same_bytes "$tmp/one" "$tmp/held"

# Onto itself.
create
for pair in new:new new:./new hard:new new:hard; do
        ln -f "$tmp/new" "$tmp/hard"
        copy "$tmp/${pair%:*}" "$tmp/${pair#*:}"
        expect_refused "same|overlap"
done
wait "$creator" || fail "the creator failed"
same_bytes "$tmp/one" "$tmp/new"
