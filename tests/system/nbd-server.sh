# The reference implementation, nbd-server, as source and as destination.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbd-server nbdkit jq

random_file "$tmp/src" 4M
truncate -s 4M "$tmp/dst" "$tmp/back"
export_file "$tmp/src"
src=$uri
start_nbd_server "$tmp/dst"
middle=$uri
export_file "$tmp/back"
start_kcopyd
copy "$src" "$middle"
expect_done
copy "$middle" "$uri"
expect_done
# How to find out what there is, where the name is wrong.
ctl copy "${middle/disk/no-such}" null:
expect_status 3
grep -q "'no-such'.*; nbdinfo --list URI shows which there are" "$errs" || fail "an unknown export: $(cat "$errs")"
same_bytes "$tmp/src" "$tmp/dst"
same_bytes "$tmp/src" "$tmp/back"
