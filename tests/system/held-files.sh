# A regular file that is in use underneath is refused as a destination, and keeps its bytes: it backs a loop device
# that is mounted (whole, by a partition, or under one more loop device) or swapped to, or is swap itself. As a source
# it is read, and so is a file whose loop device lies idle written.
source "$(dirname "$0")/../lib/functions.sh"
requires jq mkfs.ext4 mkswap swapon addpart
requires_loop

random_file "$tmp/src" 64K
truncate -s 16M "$tmp/disk"
mkdir "$tmp/mnt"
start_kcopyd

# refused FILE PATTERN…: neither written nor zeroed, by whatever name, nor made larger or smaller.
refused() {
        local file=$1 links device
        shift
        next_name link
        links=$tmp/$name
        cp "$file" "$tmp/was"
        ln "$file" "$links.hard"
        ln -s "$file" "$links.soft"
        for device in "$file" "$links.hard" "$links.soft"; do
                copy "$tmp/src" "$device"
                expect_refused 'to\[0\]' "$device" "$@"
        done
        zero "$file#0+8"
        expect_refused 'to\[0\]' "$@"
        copy "$tmp/src#0+8" "$file#0+8"
        expect_refused 'to\[0\]' "$@"
        copy --dry-run "$tmp/src" "$file"
        expect_status 3
        same_bytes "$tmp/was" "$file" 4096
        [ "$(size_bytes "$file")" = "$(size_bytes "$tmp/was")" ] || fail "$file has another size"
}

# mounted DEVICE: mounted on $tmp/mnt; what is on it stays as it is.
mounted() {
        mount -o ro "$1" "$tmp/mnt" || skip "cannot mount here"
        cleanup_fn eval 'umount "$tmp/mnt" 2>/dev/null || :'
}

# swapped_to PLACE
swapped_to() {
        mkswap -q "$1"
        swapon "$1" || skip "cannot swap to $1 here"
        cleanup_fn swap_ends "$1"
}

swap_ends() {
        swapoff "$1" 2>/dev/null || :
}

mkfs.ext4 -q "$tmp/disk"
attach_loop "$tmp/disk"
mounted "$loop"
refused "$tmp/disk" "backs $loop, which is mounted on $tmp/mnt" unmount
# Another loop device over the same bytes would be as bad, though nobody has mounted that one.
first=$loop
attach_loop "$tmp/disk"
copy "$tmp/src" "$loop"
expect_refused 'to\[0\]' "backs $first, which is mounted"
copy "$tmp/disk" "$tmp/image"
expect_done
same_bytes "$tmp/disk" "$tmp/image"
umount "$tmp/mnt"
losetup -d "$loop"

# A loop device on a loop device.
attach_loop "$first"
mounted "$loop"
refused "$tmp/disk" "backs $loop, which is mounted on"
umount "$tmp/mnt"
copy "$tmp/src" "$tmp/disk"
expect_done
losetup -d "$loop"
losetup -d "$first"

attach_loop "$tmp/disk"
swapped_to "$loop"
refused "$tmp/disk" "backs $loop, which is used as swap"
swapoff "$loop"
losetup -d "$loop"

head -c 1M /dev/zero >"$tmp/swap file"
chmod 600 "$tmp/swap file"
swapped_to "$tmp/swap file"
refused "$tmp/swap file" 'is used as swap'
swapoff "$tmp/swap file"
copy "$tmp/src" "$tmp/swap file"
expect_done
same_bytes "$tmp/src" "$tmp/swap file"

truncate -s 16M "$tmp/disk"
attach_loop "$tmp/disk" --partscan
addpart "$loop" 1 2048 16384 || skip "no partitions of loop devices here"
mkfs.ext4 -q "${loop}p1"
mounted "${loop}p1"
refused "$tmp/disk" "backs $loop, which is mounted on"
