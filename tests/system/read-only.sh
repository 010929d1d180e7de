# A read-only destination is refused before anything happens; as a source it is fine.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 1M
random_file "$tmp/dst" 1M
truncate -s 1M "$tmp/other"
export_logged "$tmp/other"
other=$uri other_trace=$trace
export_file "$tmp/dst" -r
start_kcopyd
copy "$tmp/src" "$other" "$uri"
expect_refused 'to\[1\]' 'read.only'
no_writes "$other_trace"
copy "$uri" "$other"
expect_done
same_bytes "$tmp/dst" "$tmp/other"
