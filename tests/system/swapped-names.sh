# A name that leads to another file while it is copied: all bytes come from, and go to, the one that was opened and
# validated, however many lanes open it once more.
# limit: 120
source "$(dirname "$0")/../lib/functions.sh"
requires python3

# swap A B: exchange the two names until it is ended.
swap() {
        python3 - "$1" "$2" <<'PYTHON' &
import ctypes, os, sys, time
renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
AT_FDCWD, RENAME_EXCHANGE = -100, 2
a, b = (os.fsencode(name) for name in sys.argv[1:])
end = time.monotonic() + 100
while time.monotonic() < end and os.getppid() != 1:
    if renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    time.sleep(0.0005)
PYTHON
        swap_pid=$!
        cleanup_fn end_process $swap_pid
}

# all_of FILE: the byte that the file is full of; nothing if they differ.
all_of() {
        python3 - "$1" <<'PYTHON'
import sys
data = open(sys.argv[1], "rb").read()
print(data[:1].decode() if data == data[:1] * len(data) else "")
PYTHON
}

# full_of BYTE FILE
full_of() {
        head -c 64M /dev/zero | tr '\0' "$1" >"$2"
}

start_kcopyd
full_of a "$tmp/a"
full_of b "$tmp/b"
swap "$tmp/a" "$tmp/b"
for ((i = 0; i < 6; i++)); do
        full_of x "$tmp/to"
        copy --no-detect-zeroes "$tmp/a" "$tmp/to"
        expect_status 0
        [[ $(all_of "$tmp/to") = [ab] ]] || fail "the copy has bytes of both"
done
end_process $swap_pid

full_of s "$tmp/source"
for ((i = 0; i < 6; i++)); do
        full_of a "$tmp/a"
        full_of b "$tmp/b"
        swap "$tmp/a" "$tmp/b"
        copy --no-detect-zeroes "$tmp/source" "$tmp/a#0+64MiB"
        expect_status 0
        end_process $swap_pid
        found=$(all_of "$tmp/a")$(all_of "$tmp/b")
        [[ $found = sb || $found = sa || $found = as || $found = bs ]] || fail "bytes went to both files: $found"
done
