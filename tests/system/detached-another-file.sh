# A detached job is paused, and its destination is replaced by another file of the same name and size, which may even have
# the number of the old one: the job does not go on into that one, and nothing of it is written.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 16M
truncate -s 16M "$tmp/dst"
start_kcopyd --checkpoint-interval 0.2
detach_and_pause --rate 4194304 "$tmp/src" "$tmp/dst"
kill_kcopyd
inode=$(stat -c %i "$tmp/dst")
for ((i = 0; i < 20; i++)); do # a file system that uses numbers again does so soon
        rm "$tmp/dst"
        truncate -s 16M "$tmp/dst"
        [ "$(stat -c %i "$tmp/dst")" != "$inode" ] || break
done
start_kcopyd
ctl resume "$job"
expect_status 0
must_wait_for 20 job_is "$job" '.state == "paused" and (.reason | test("is another (device|file)"))'
[ "$(allocated_bytes "$tmp/dst")" = 0 ] || fail "something was written"
ctl cancel "$job"
expect_status 0
