# Command-line mistakes: what is wrong and where to find help on standard error, nothing on standard output, status 2.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 4096
wrong() {
        ctl "$@"
        expect_status 2
        [ -s "$errs" ] || fail "nothing on standard error: kcopyctl $*"
        [ "$(wc -l <"$errs")" -le 3 ] && grep -q 'help' "$errs" || fail "kcopyctl $*: $(cat "$errs")"
        [ ! -s "$out" ] || fail "on standard output: $(cat "$out")"
        [ ! -e "$tmp/new" ] || fail "kcopyctl $* made a file"
}
wrong
wrong no-such-command
wrong copy
wrong copy "$tmp/src"
wrong copy --no-such-option "$tmp/src" "$tmp/new"
wrong copy --on-error maybe "$tmp/src" "$tmp/new"
wrong copy --durability some "$tmp/src" "$tmp/new"
wrong copy --rate fast "$tmp/src" "$tmp/new"
wrong copy --progress loud "$tmp/src" "$tmp/new"
wrong copy --pages none "$tmp/src" "$tmp/new"
wrong copy --timeout soon "$tmp/src" "$tmp/new"
wrong zero
wrong cancel
wrong cancel seven
wrong job
wrong wait
wrong copy --pages 0 "$tmp/src" "$tmp/new"
grep -q '16MiB' "$errs" || fail "how to write bytes is not said: $(cat "$errs")"
wrong copy --timeout 100000000 "$tmp/src" "$tmp/new"
grep -q '31622400' "$errs" || fail "the limit is not said: $(cat "$errs")"
wrong copy --rate 10MB "$tmp/src" "$tmp/new"
grep -q 'M or MiB' "$errs" || fail "the units are not said: $(cat "$errs")"
wrong copy -dash "$tmp/new"
grep -q -- '--, or is written ./-dash' "$errs" || fail "names that begin with -: $(cat "$errs")"
wrong help no-such-command
wrong --server carrier-pigeon:/coop jobs
wrong copy [ nbdkit memory 1M
for server in unix: tcp:; do
        wrong --server $server jobs
        KCOPYD_SERVER=$server ctl jobs
        expect_status 2
done
wrong_name=$(printf '%s/\377' "$tmp")
for words in "$tmp/src $wrong_name" "$wrong_name $tmp/new"; do
        # shellcheck disable=SC2086
        ctl copy $words
        expect_status 2
        grep -qa "^kcopyctl: $wrong_name: is no UTF-8" "$errs" || fail "a name that is no UTF-8: $(cat "$errs")"
done

# Without a server that could be asked: what is surely meant otherwise.
meant() {
        local pattern=$1
        shift
        ctl "$@"
        expect_status 2
        grep -qF -- "$pattern" "$errs" || fail "no \"$pattern\" in: $(cat "$errs")"
        [ ! -e "${!#}" ] || fail "a file was made: kcopyctl $*"
}
(
        cd "$tmp"
        KCOPYD_SERVER=foo meant 'KCOPYD_SERVER: foo is neither' jobs
        meant 'null: with a colon' copy src null
        meant 'null: and nothing behind it' copy src null:foo
        meant 'null: and nothing behind it' copy src NULL:
        meant 'null: and nothing behind it' --server tcp:127.0.0.1:9 copy /src null:foo
        cp src 'with#0+1'
        meant 'file:with#0+1 is the file of this name' copy 'with#0+1' new
        meant 'is a region of with, which there is not' copy 'with#0+1' new
        meant 'nbd://localhost:10809/' copy src nbd:localhost:10809
        meant 'from / on' --server tcp:127.0.0.1:9 copy /src ./new
        meant 'runs on this machine' --server tcp:192.0.2.1:9 copy /src [ nbdkit memory 1M ]
        meant '#START+COUNT' --server tcp:127.0.0.1:9 copy /src "$tmp/new#2048"
        for tail in '#2048' '#1M' '#1M+' '#0x10+1' '#-1+2' '#+1M' '#1M-2M' '#0,1M'; do
                meant "$tail is no region" copy src "new$tail"
                meant 'file:NAME' copy "src$tail" new
        done
)
ctl copy --pages 1MiB "$tmp/src" "$tmp/other"
expect_status 0
ctl copy "$tmp/src" "file:$tmp/other#2048"
expect_status 0
[ -e "$tmp/other#2048" ] || fail "file: did not take a name as it is"
ctl copy "$tmp/other#2048" "$tmp/other"
expect_status 0

ctl help
expect_status 0
grep -q '^  copy ' "$out" || fail "help: $(cat "$out")"
ctl help copy
expect_status 0
grep -q -- '--on-error' "$out" || fail "help copy: $(cat "$out")"
ctl --help
expect_status 0
grep -q copy "$out" || fail "--help does not say what there is"
ctl --version
expect_status 0

# The daemon's own.
daemon_wrong() {
        status=0
        timeout 10 kcopyd --listen "unix:$tmp/s" "$@" >"$out" 2>"$errs" </dev/null || status=$?
        grep -q '^kcopyd: ' "$errs" || fail "kcopyd $*: says $(cat "$errs")"
        [ ! -e "$tmp/s" ] || fail "kcopyd $*: it listened"
}
for mistake in --no-such-option "--pages none" "--pages 0" "--lanes 0" "--io maybe" "--drain-timeout never" \
        "--open-timeout 0" "--command-timeout 0" "--pages 64MB" "--listen unix:" \
        "--plaintext --listen tcp:127.0.0.1:99999" extra; do
        # shellcheck disable=SC2086
        daemon_wrong $mistake
        expect_status 2
done
daemon_wrong --pages $(($(awk '/^MemTotal:/ { print $2 }' /proc/meminfo) / 4 + 4096))
expect_status 2
grep -qE -- '--pages: [0-9]+ pages are [0-9]+ MiB, and kcopyd may have [0-9]+ MiB .*; at most [0-9]+$' "$errs" ||
        fail "more pages than memory: $(cat "$errs")"
daemon_wrong --listen pigeon:1
[ "$status" = 1 ] || [ "$status" = 2 ] || fail "status $status"
daemon_wrong --config "$tmp/none"
[ "$status" = 1 ] || [ "$status" = 2 ] || fail "status $status"
kcopyd --version >"$out"
grep -q '^kcopyd [0-9]' "$out" || fail "kcopyd --version: $(cat "$out")"
kcopyd -V >"$out" || fail "kcopyd -V"
