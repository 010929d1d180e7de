# A source with bad sectors: what cannot be read at once is tried again in smaller pieces, down to the sector. Under ignore
# the rest is copied, and what is left out are those sectors; under stop the error names the very first one. One that is
# bad only now and then is read in the end, and nobody hears of it.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq python3 ddrescue
requires_filter error

random_file "$tmp/src" 8M
truncate -s 8M "$tmp/a" "$tmp/b"
start_faulty "$tmp/src"
src=$uri
start_kcopyd
# three sectors: alone, two side by side, and the last
faults "$control" "read 1049088 1 EIO" "read 5000192 600 EIO" "read 8388607 1 EIO"
copy --on-error ignore --mapfile "$tmp/map" "$src" "$tmp/a"
expect_status 1
bad=$((512 + 1024 + 512))
expect '.state == "failed"' re '.source.error.sector == 2049' '.source.error.errno == "EIO"' \
        "d(0).bytes.untouched == $bad" "d(0).bytes.copied == 8388608 - $bad" 'd(0).bytes.indeterminate == 0'
differ=$(/usr/bin/python3 - "$tmp/src" "$tmp/a" <<'PYTHON'
import sys
a, b = (open(name, "rb").read() for name in sys.argv[1:])
print(*(i // 512 for i in range(0, len(a), 512) if a[i:i + 512] != b[i:i + 512]))
PYTHON
)
[ "$differ" = "2049 9766 9767 16383" ] || fail "these sectors differ: $differ"
expect '.source.bad_ranges == [{"sector":2049,"count":1},{"sector":9766,"count":2},{"sector":16383,"count":1}]'

# ddrescue goes on from the map: it reads those places, from a disk that has nothing else, and no others
/usr/bin/python3 - "$tmp/src" "$tmp/rest" <<'PYTHON'
import sys
whole, rest = open(sys.argv[1], "rb"), open(sys.argv[2], "wb")
rest.truncate(8 << 20)
for sector in 2049, 9766, 9767, 16383:
    whole.seek(sector * 512)
    rest.seek(sector * 512)
    rest.write(whole.read(512))
PYTHON
ddrescue --quiet --retry-passes=1 "$tmp/rest" "$tmp/a" "$tmp/map" || fail "ddrescue does not take the map"
same_bytes "$tmp/src" "$tmp/a"

# a part of the source, to a part of another one: positions are the source's
truncate -s 0 "$tmp/a"
copy --on-error ignore --mapfile "$tmp/map" "$src#2048+100" "$tmp/a"
expect_status 1
grep -v "^#" "$tmp/map" >"$tmp/lines"
diff - "$tmp/lines" <<'MAP' || fail "the map of a part"
0x00100200     -               1
0x00000000  0x00100000  ?
0x00100000  0x00000200  +
0x00100200  0x00000200  -
0x00100400  0x0000C400  +
MAP
# what ends at the first error says nothing of the rest, and what is whole is
copy --mapfile "$tmp/map" "$src" "$tmp/b"
expect_status 1
! grep -q "+$" "$tmp/map" || fail "an end before the end is called finished"
grep -q "^0x00100200  0x00000200  -$" "$tmp/map" || fail "the bad sector is not in the map"
copy --mapfile "$tmp/map" "$src#0+2000" "$tmp/b"
expect_done
grep -qx "0x00000000  0x000FA000  +" "$tmp/map" || fail "the map of a whole copy"
copy --mapfile "$tmp/none/map" "$src" "$tmp/b"
expect_status 2

: >"$trace"
copy "$src" "$tmp/b"
expect_status 1
expect '.state == "failed"' re '.source.error.sector == 2049' 'd(0).bytes.untouched > 0'
n=0
while read -r op start length; do
        if [ "$op" = read ] && ((start <= 1049088 && start + length > 1049088)); then
                n=$((n + 1))
        fi
done <"$trace"
[ "$n" -ge 3 ] && [ "$n" -le 12 ] || fail "the bad sector was read $n times"

# one read in twenty fails, wherever it is
start_nbdkit --filter=error file "$tmp/src" error-pread-rate=5%
for ((i = 0; i < 5; i++)); do
        truncate -s 0 "$tmp/b"
        copy "$uri" "$tmp/b"
        expect_done
        same_bytes "$tmp/src" "$tmp/b"
done
