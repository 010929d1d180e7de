# A block device that is mounted is refused as a destination, with the reason.
source "$(dirname "$0")/../lib/functions.sh"
requires jq mkfs.ext4
requires_loop

truncate -s 16M "$tmp/disk"
random_file "$tmp/src" 1M
mkfs.ext4 -q "$tmp/disk"
attach_loop "$tmp/disk"
mkdir "$tmp/mnt"
mount "$loop" "$tmp/mnt" || skip "cannot mount here"
cleanup_fn eval 'umount "$tmp/mnt" 2>/dev/null || :'
start_kcopyd
copy "$tmp/src" "$loop#0+2048"
expect_refused 'to\[0\]' 'busy|mounted|use'
copy "$loop" "$tmp/image"
expect_done
umount "$tmp/mnt"
copy "$tmp/src" "$loop#0+2048"
expect_done
