# A destination that is the source under another name is refused: a hard link, a symbolic link, another path, a
# loop device over the file, two names of one socket, a partition's disk.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq
requires_loop

random_file "$tmp/src" 1M
cp "$tmp/src" "$tmp/was"
ln "$tmp/src" "$tmp/hard"
ln -s src "$tmp/soft"
mkdir "$tmp/folder"
start_kcopyd
for alias in "$tmp/hard" "$tmp/soft" "$tmp/folder/../src" "/proc/self/root$tmp/src"; do
        copy "$tmp/src" "$alias"
        expect_status 3
        same_bytes "$tmp/src" "$tmp/was"
done
attach_loop "$tmp/src"
one=$loop
copy "$tmp/src" "$one"
expect_refused 'to\[0\]' 'overlap|same'
copy "$one" "$tmp/src"
expect_refused 'to\[0\]' 'overlap|same'
attach_loop "$tmp/src"
copy "$one" "$loop"
expect_refused 'to\[0\]' 'overlap|same'
# A loop device that begins in the middle holds other sectors of the same file.
attach_loop "$tmp/src" --offset 524288
copy "$tmp/src#0+8" "$loop#0+8"
expect_done
same_bytes "$tmp/was" "$tmp/src" 4096 0 524288
copy "$tmp/src#1024+8" "$loop#0+8"
expect_refused 'to\[0\]' 'overlap|same'

start_nbdkit memory 1M
copy "$uri" "$uri"
expect_refused 'to\[0\]' 'overlap|same'
copy "$uri#0+8" "$uri#8+8"
expect_done
ln -s "$sock" "$tmp/second.sock"
copy "$uri" "nbd+unix:///?socket=$tmp/second.sock"
expect_refused 'to\[0\]' 'overlap|same'
