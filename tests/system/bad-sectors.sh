# A source with bad sectors: what cannot be read at once is tried again in smaller pieces, down to the sector. Under ignore
# the rest is copied, and what is left out are those sectors; under stop the error names the very first one. One that is
# bad only now and then is read in the end, and nobody hears of it.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq python3
requires_filter error

random_file "$tmp/src" 8M
truncate -s 8M "$tmp/a" "$tmp/b"
start_faulty "$tmp/src"
src=$uri
start_kcopyd
# three sectors: alone, two side by side, and the last
faults "$control" "read 1049088 1 EIO" "read 5000192 600 EIO" "read 8388607 1 EIO"
copy --on-error ignore "$src" "$tmp/a"
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
