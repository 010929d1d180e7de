# Mistakes in the configuration file: the message names file and line, the status is 2, and nothing is listening.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"

# wrong LINE PATTERN: the configuration is refused for that line, with that reason.
wrong() {
        status=0
        timeout 10 kcopyd --listen "unix:$tmp/sock" --config "$tmp/conf" >"$out" 2>"$errs" </dev/null || status=$?
        expect_status 2
        grep -qE "^kcopyd: $tmp/conf:$1: .*$2" "$errs" || fail "not line $1, \"$2\": $(cat "$errs")"
        [ ! -e "$tmp/sock" ] || fail "it came to listen"
}

printf '# a comment\n\n[deamon]\npages = 4096\n' >"$tmp/conf"
wrong 3 'deamon'
printf '[daemon]\npages = 4096\n\n[daemom]\n' >"$tmp/conf"
wrong 4 'daemom'
printf 'pages = 4096\n' >"$tmp/conf"
wrong 1 'no section'
printf '[daemon]\npages = 4096\npagse = 1\n' >"$tmp/conf"
wrong 3 'pagse'
printf '[daemon]\npages = many\n' >"$tmp/conf"
wrong 2 'pages'
printf '[daemon]\npages = 4096\nwhat is this\n' >"$tmp/conf"
wrong 3 'key = value'
printf '[endpoint /dev/sda]\ndevice = /dev/sdb\n' >"$tmp/conf"
wrong 1 '/dev/sda'
printf '[endpoint one]\ndevice = /dev/sda\ndevice = /dev/sdb\n' >"$tmp/conf"
wrong 3 'one'
printf '[endpoint a]\n\n[endpoint b]\ndevice = /dev/sdb\n' >"$tmp/conf"
wrong 1 'endpoint a: has no device'
printf '[endpoint b c]\ndevice = /dev/sdb\n' >"$tmp/conf"
wrong 1 'b c: no name'
printf '[endpoint one]\ndevice = nbd://x/?foo=1\n' >"$tmp/conf"
wrong 2 'foo'
printf '[endpoint one]\ndevice = http://x/\n' >"$tmp/conf"
wrong 2 'http://x/: no device'
for truth in yes maybe; do
        printf '[daemon]\nplaintext = %s\n' $truth >"$tmp/conf"
        wrong 2 "plaintext: $truth: none of false, true"
done
printf '[endpoint one]\ndevice = disk.img\n' >"$tmp/conf"
wrong 2 'disk.img: no device; write an absolute path'
printf '[endpoint one]\ndevice = /tmp/\377\n' >"$tmp/conf"
wrong 2 'no UTF-8'
printf '[endpoint \377]\ndevice = /tmp/a\n' >"$tmp/conf"
wrong 2 'no UTF-8'
# the command line wins, and does not hide the mistake
printf '[daemon]\nlog-level = loud\n' >"$tmp/conf"
status=0
timeout 10 kcopyd --log-level error --listen "unix:$tmp/sock" --config "$tmp/conf" >"$out" 2>"$errs" </dev/null || status=$?
expect_status 2
grep -q "conf:2: " "$errs" || fail "no line: $(cat "$errs")"

status=0
timeout 10 kcopyd --listen "unix:$tmp/sock" --config "$tmp/none" >"$out" 2>"$errs" </dev/null || status=$?
expect_status 2
grep -q "$tmp/none: No such file" "$errs" || fail "a file that is not there: $(cat "$errs")"
