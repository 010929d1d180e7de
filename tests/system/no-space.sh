# A full destination: class "no space", and the other one completes.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq
requires_plugin full

random_file "$tmp/src" 1M
truncate -s 1M "$tmp/b"
start_nbdkit full 1M
a=$uri
export_file "$tmp/b"
start_kcopyd
copy --on-error continue "$tmp/src" "$a" "$uri"
expect_status 1
expect '.write_err == [0]' 'd(0).error.class == "no_space"' 'd(0).error.errno == "ENOSPC"' 'd(0).bytes.copied == 0'
same_bytes "$tmp/src" "$tmp/b"
