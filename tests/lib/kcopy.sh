# kcopyd and kcopyctl for the tests, and what is expected of them. Sourced by functions.sh.

# start_kcopyd ARGS…: on a Unix socket, ready when it returns. Exports KCOPYD_SERVER, sets $kcopyd_pid and
# $kcopyd_log. $kcopyd_under is put in front of the command (unshare, strace, …); with an empty $kcopyd_state there is no
# store.
start_kcopyd() {
        next_name kcopyd
        kcopyd_socket=$tmp/$name.sock kcopyd_log=$tmp/$name.log
        # shellcheck disable=SC2086
        ${kcopyd_under:-} kcopyd --listen "unix:$kcopyd_socket" ${kcopyd_state---state "$tmp"} "$@" </dev/null >"$kcopyd_log" 2>&1 &
        kcopyd_pid=$!
        kcopyd_pids="$kcopyd_pids $kcopyd_pid"
        wait_for 20 kcopyd_ready "$kcopyd_socket" $kcopyd_pid
        if gone $kcopyd_pid; then
                fail "kcopyd $*: ended: $(tail -n 3 "$kcopyd_log")"
        fi
        export KCOPYD_SERVER=unix:$kcopyd_socket
}

kcopyd_ready() {
        listening_unix "$1" || gone "$2"
}

# kcopyd_ends PID: an orderly shutdown, within ten seconds, with status 0.
kcopyd_ends() {
        local pid=$1 result=0
        case " ${kcopyd_ended:-} " in
        *" $pid "*) return 0 ;;
        esac
        kill -TERM "$pid" 2>/dev/null || :
        if ! wait_for 15 gone "$pid"; then
                say "FAILED: kcopyd does not end"
                kill -KILL "$pid"
                result=1
        fi
        wait "$pid" || {
                say "FAILED: kcopyd ended with status $?"
                result=1
        }
        kcopyd_ended="${kcopyd_ended:-} $pid"
        return $result
}

# kill_kcopyd [SIGNAL]: not an orderly end; how it ended is not looked at.
kill_kcopyd() {
        kcopyd_ended="${kcopyd_ended:-} $kcopyd_pid"
        end_process "$kcopyd_pid" "${1:-KILL}"
}

# ctl ARGS…: kcopyctl, its output in $out, its messages in $errs, its exit status in $status.
ctl() {
        status=0
        kcopyctl "$@" >"$out" 2>"$errs" </dev/null || status=$?
}

# copy ARGS… / zero ARGS…: with --json; the last line is in $completion when there was one.
copy() {
        json_command copy "$@"
}

zero() {
        json_command zero "$@"
}

json_command() {
        : >"$completion"
        ctl --json "$@"
        tail -n 1 "$out" | jq -c 'select(.event == "completion")' >"$completion" 2>/dev/null || :
        [ ! -s "$completion" ] || ledger_adds_up
}

# start_copy ARGS…: in the background; $copy_pid. Its output goes to files of its own: $copy_out, $copy_errs.
start_copy() {
        next_name copy
        copy_out=$tmp/$name.out copy_errs=$tmp/$name.errs
        kcopyctl --json copy "$@" >"$copy_out" 2>"$copy_errs" </dev/null &
        copy_pid=$!
        cleanup_fn end_process $copy_pid KILL
}

# end_copy PID OUT ERRS: wait for one of start_copy; then as after copy.
end_copy() {
        status=0
        wait "$1" || status=$?
        cp "$2" "$out"
        cp "$3" "$errs"
        tail -n 1 "$out" | jq -c 'select(.event == "completion")' >"$completion" 2>/dev/null || :
        [ ! -s "$completion" ] || ledger_adds_up
}

# ---- expectations

expect_status() {
        [ "$status" = "$1" ] || fail "exit status $status, expected $1: $(cat "$errs")"
}

# expect FILTER…: each jq filter is true of the completion. Its helpers: read_err and write_err in either
# spelling, and d(i), destination i.
expect() {
        local filter
        [ -s "$completion" ] || fail "no completion: $(cat "$errs")"
        for filter; do
                jq -e "def d(i): .destinations[i]; def re: (.read_err == true or .read_err == 1); $filter" \
                        "$completion" >/dev/null || fail "not so: $filter in $(cat "$completion")"
        done
}

ledger_adds_up() {
        # shellcheck disable=SC2016
        expect '.length_bytes as $l |
            all(.destinations[].bytes; .copied + .zeroed + .skipped + .indeterminate + .untouched == $l)' \
                '[.destinations[] | select(.error != null) | .index] == (.write_err | sort)'
}

# A copy that went through: status 0, completed, no error anywhere.
expect_done() {
        expect_status 0
        expect '.state == "completed"' '(re | not) and .write_err == []' '(.source.error // null) == null'
}

# expect_refused PATTERN…: status 3, and the message matches each pattern.
expect_refused() {
        local pattern
        expect_status 3
        [ ! -s "$completion" ] || fail "refused, yet there is a completion: $(cat "$completion")"
        for pattern; do
                grep -qiE -- "$pattern" "$errs" "$out" || fail "nothing about \"$pattern\" in: $(cat "$errs" "$out")"
        done
}

# ---- what the daemon is at

# job_state FILTER: some job of the daemon's list satisfies the jq filter.
some_job() {
        kcopyctl --json jobs 2>/dev/null </dev/null | jq -es "flatten | map(.jobs? // .) | flatten | any(.[]; $1)" >/dev/null
}

# Anonymous memory that is resident, in KiB: what the bounds of DESIGN 3 are about.
rss_anon_kib() {
        awk '/^RssAnon:/ { print $2 }' "/proc/$1/status"
}

copied_some() {
        [ -e "$1" ] && [ "$(stat -c %b "$1")" -gt 0 ]
}

# ---- detached jobs

# detach ARGS…: submit a detached copy; its id is in $job.
detach() {
        ctl --json copy --detach "$@"
        expect_status 0
        job=$(jq -r 'select(.event == "accepted") | .job' "$out")
        [ -n "$job" ] || fail "no id: $(cat "$out")"
}

# detach_and_pause ARGS…: the same, and paused when something of it is kept.
detach_and_pause() {
        detach "$@"
        must_wait_for 20 job_is "$job" '.destinations[0].bytes.copied > 0'
        ctl pause "$job"
        expect_status 0
        must_wait_for 20 job_is "$job" '.state == "paused"'
}

# job_is ID FILTER: what the daemon says of it satisfies the jq filter.
job_is() {
        kcopyctl --json job "$1" 2>/dev/null </dev/null | jq -e "$2" >/dev/null
}

# await_job ID: until it has ended; its completion is in $completion, as after copy.
await_job() {
        : >"$completion"
        ctl --json wait "$1"
        tail -n 1 "$out" | jq -c 'select(.event == "completion")' >"$completion" 2>/dev/null || :
        [ ! -s "$completion" ] || ledger_adds_up
}
