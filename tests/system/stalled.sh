# Each phase of an endpoint stalls once: the job ends in time with the right class on the right endpoint, and a
# second job on the same lane is unaffected meanwhile.
# labels: core
# limit: 90
# variants: connect greeting option tls read write zero flush extents disconnect
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq

random_file "$tmp/src" 1M
truncate -s 1M "$tmp/stalling" "$tmp/well"
cp "$tmp/src" "$tmp/held"
start_kcopyd --quarantine 3 --lanes 1 --open-timeout 4
export_file "$tmp/well"
well=$uri
start_peer --file "$tmp/held" --stall "$1"
bad=$uri bad_log=$log
[ "$1" != connect ] || must_wait_for 20 grep -q '^full' "$bad_log"
if [ "$1" = tls ]; then
        requires psktool
        psktool -u alice -p "$tmp/keys.psk" >/dev/null 2>&1
        bad="nbds+unix://alice@/?socket=$sock&tls-psk-file=$tmp/keys.psk"
fi

began=$(now_ms)
case $1 in
read | extents) start_copy --timeout 4 "$bad" "$tmp/new" ;;
zero)
        next_name copy
        copy_out=$tmp/$name.out copy_errs=$tmp/$name.errs
        truncate -s 1M "$tmp/zeroes"
        kcopyctl --json copy --timeout 4 "$tmp/zeroes" "$bad" >"$copy_out" 2>"$copy_errs" </dev/null &
        copy_pid=$!
        ;;
*) start_copy --timeout 4 "$tmp/src" "$bad" ;;
esac

# The second job, on the only lane there is, is done while the first one is stuck.
copy "$tmp/src" "$well"
expect_done
[ "$1" = disconnect ] || alive "$copy_pid" || fail "the second job was done after the first: $(cat "$copy_errs")"
same_bytes "$tmp/src" "$tmp/well"

end_copy "$copy_pid" "$copy_out" "$copy_errs"
took=$(($(now_ms) - began))
case $1 in
disconnect)
        # Everything was answered; how long the server takes to hang up is no concern of the job's.
        expect_done
        [ $took -lt 5000 ] || fail "waited $took ms for a server to hang up"
        ;;
extents)
        # Extents are hints: when their time is over, everything is data.
        expect_done
        same_bytes "$tmp/src" "$tmp/new"
        [ $took -ge 3900 ] && [ $took -lt 10000 ] || fail "took $took ms"
        ;;
connect | greeting | option | tls)
        # Before anything could be validated: refused, in time.
        expect_status 3
        tail -n 1 "$out" | jq -e '.event == "refused" and .field == "to[0].name" and .class == "timeout" and
            .errno == "ETIMEDOUT"' >/dev/null || fail "not refused for the time it took: $(cat "$out")"
        grep -q 'within 4 s' "$errs" || fail "no word of the time: $(cat "$errs")"
        [ $took -ge 3500 ] && [ $took -lt 14000 ] || fail "took $took ms"
        ;;
read)
        expect_status 1
        expect '.state == "failed"' 're' '.source.error.class == "timeout"' '.source.error.errno == "ETIMEDOUT"'
        [ $took -ge 3900 ] && [ $took -lt 17000 ] || fail "took $took ms"
        ;;
*)
        expect_status 1
        expect '.state == "failed"' '.write_err == [0]' 'd(0).error.class == "timeout"' \
                'd(0).error.errno == "ETIMEDOUT"' '(re | not)' '.durable == false'
        [ $took -ge 3900 ] && [ $took -lt 17000 ] || fail "took $took ms"
        ;;
esac
case $1 in
read | write | zero | flush | extents)
        grep -q "^stalled $1 " "$bad_log" || fail "the server was never asked for $1: $(cat "$bad_log")"
        ;;
esac
end_process "$pid" KILL
