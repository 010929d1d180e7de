# Block servers and devices for the tests: one server per endpoint, its pid recorded, ready when the function
# returns. Each start_ function leaves the endpoint's NBD URI in $uri, its socket in $sock and the process in
# $pid. Sourced by functions.sh.

# next_name KIND: sets $name, unique in this test.
next_name() {
        counter=$((counter + 1))
        name=$1$counter
}

unix_uri() {
        echo "nbd+unix:///?socket=$1"
}

# start_nbdkit ARGS…: filters, plugin and parameters. Its messages are in $log, with -v in ARGS a trace too.
start_nbdkit() {
        next_name nbdkit
        sock=$tmp/$name.sock log=$tmp/$name.log
        nbdkit -f --exit-with-parent -P "$tmp/$name.pid" -U "$sock" "$@" </dev/null 2>"$log" >&2 &
        pid=$!
        # Killed at the end: asked to end, nbdkit waits for connections, and kcopyd keeps idle ones for seconds.
        cleanup_fn end_process $pid KILL
        wait_for 20 nbdkit_ready "$tmp/$name.pid" $pid || {
                cat "$log" >&2
                fail "nbdkit $* did not start"
        }
        [ -s "$tmp/$name.pid" ] || {
                cat "$log" >&2
                fail "nbdkit $*: ended"
        }
        uri=$(unix_uri "$sock")
}

nbdkit_ready() {
        [ -s "$1" ] || gone "$2"
}

# start_nbdkit_tcp ARGS…: the same on a port of 127.0.0.1; sets $port too.
start_nbdkit_tcp() {
        next_name nbdkit
        log=$tmp/$name.log port=$(free_port)
        nbdkit -f --exit-with-parent -P "$tmp/$name.pid" -i 127.0.0.1 -p "$port" "$@" </dev/null 2>"$log" >&2 &
        pid=$!
        cleanup_fn end_process $pid KILL
        must_wait_for 20 nbdkit_ready "$tmp/$name.pid" $pid
        uri=nbd://127.0.0.1:$port/
}

# export_file FILE [NBDKIT-ARGS…]: a file as an export; what is written through it can be read in FILE.
# Options and filters (-x, --filter=…) and parameters (x=y) may come in any order.
export_file() {
        local file=$1 arg before=() after=()
        shift
        for arg; do
                case $arg in
                -*) before+=("$arg") ;;
                *) after+=("$arg") ;;
                esac
        done
        start_nbdkit "${before[@]}" file "$file" "${after[@]}"
}

# export_logged FILE [NBDKIT-ARGS…]: the same, with nbdkit's log filter; $trace is its file.
export_logged() {
        trace=$tmp/trace$((counter + 1))
        # The filter next to the client, so that it sees what the client sent.
        export_file "$1" --filter=log "${@:2}" logfile="$trace"
}

# no_writes TRACE…: the log filter saw no request that changes anything.
no_writes() {
        local trace
        for trace; do
                [ -s "$trace" ] || fail "no trace of a server: $trace"
                if grep -E '(Write|Zero|Trim) id=' "$trace" >&2; then
                        fail "a request that must have been refused wrote: $trace"
                fi
        done
}

# start_faulty FILE [ARGS…]: our own plugin over FILE (faulty.c). $control is the file that says what fails;
# $trace is what the plugin was asked. ARGS such as no=flush,zero come after the plugin's name.
start_faulty() {
        local file=$1
        shift
        [ -e "$KCOPY_TEST_LIB/nbdkit-faulty-plugin.so" ] || skip "the nbdkit plugin was not built (nbdkit-plugin-dev)"
        control=$tmp/control$((counter + 1)) trace=$tmp/trace$((counter + 1))
        : >"$control"
        : >"$trace"
        start_nbdkit "$KCOPY_TEST_LIB/nbdkit-faulty-plugin.so" file="$file" control="$control" trace="$trace" "$@"
}

# faults CONTROL LINE…: from now on exactly these (see faulty.c). None: everything works, what hung goes on.
faults() {
        local control=$1
        shift
        printf '%s\n' "$@" >"$control.new"
        mv "$control.new" "$control"
}

# start_qemu_nbd FORMAT FILE CLIENTS [ARGS…]: without -t in ARGS it ends when its last client has left.
start_qemu_nbd() {
        local format=$1 file=$2 clients=$3
        shift 3
        requires qemu-nbd
        next_name qemu
        sock=$tmp/$name.sock log=$tmp/$name.log
        qemu-nbd -k "$sock" -f "$format" -e "$clients" "$@" "$file" </dev/null 2>"$log" >&2 &
        pid=$!
        cleanup_fn end_process $pid
        must_wait_for 20 listening_unix "$sock"
        uri=$(unix_uri "$sock")
}

# start_nbd_server FILE: the reference implementation; the export is called "disk".
start_nbd_server() {
        requires nbd-server
        next_name server
        sock=$tmp/$name.sock
        # It listens on TCP too, whatever one says: port 0 would mean inetd.
        printf '[generic]\nunixsock = %s\nlistenaddr = 127.0.0.1\nport = %s\n[disk]\nexportname = %s\nflush = true\nfua = true\n' \
                "$sock" "$(free_port)" "$1" >"$tmp/$name.conf"
        nbd-server -C "$tmp/$name.conf" -p "$tmp/$name.pid" >"$tmp/$name.log" 2>&1
        must_wait_for 20 listening_unix "$sock"
        must_wait_for 20 test -s "$tmp/$name.pid"
        pid=$(cat "$tmp/$name.pid")
        cleanup_fn end_process "$pid"
        uri="nbd+unix:///disk?socket=$sock"
}

# start_peer ARGS…: a Python NBD server that stalls or lies (tests/lib/nbd-peer.py).
start_peer() {
        next_name peer
        sock=$tmp/$name.sock log=$tmp/$name.log
        /usr/bin/python3 "$tests/lib/nbd-peer.py" --unix "$sock" "$@" </dev/null >"$log" 2>&1 &
        pid=$!
        cleanup_fn end_process $pid
        must_wait_for 20 listening_unix "$sock"
        uri=$(unix_uri "$sock")
}

# ---- block devices

requires_loop() {
        requires losetup blockdev
        requires_root "for loop devices"
        losetup -f >/dev/null 2>&1 || skip "no loop devices here"
}

# attach_loop FILE [LOSETUP-ARGS…]: sets $loop. Detached at the end, and that it went is checked.
attach_loop() {
        local file=$1
        shift
        loop=$(losetup -f --show "$@" "$file")
        cleanup_fn detach_loop "$loop" "$file"
}

# Only while it is ours: the test may have detached it, and another one have got it since.
detach_loop() {
        loop_detached "$1" "$2" || losetup -d "$1" 2>/dev/null || :
        wait_for 10 loop_detached "$1" "$2" || {
                say "FAILED: $1 is still in use"
                return 1
        }
}

loop_detached() {
        [ "$(losetup -n -O BACK-FILE "$1" 2>/dev/null)" != "$2" ]
}

# start_nbdfuse NBDKIT-ARGS…: a regular file over any nbdkit; $fuse is its path. With attach_loop
# --direct-io=on it becomes a block device that fails as the plugin says.
start_nbdfuse() {
        requires nbdfuse fusermount3
        requires_root "for fuse"
        [ -c /dev/fuse ] || skip "no /dev/fuse here"
        next_name fuse
        fuse=$tmp/$name
        : >"$fuse"
        nbdfuse -P "$tmp/$name.pid" "$fuse" [ nbdkit --exit-with-parent "$@" ] </dev/null 2>"$tmp/$name.log" >&2 &
        pid=$!
        cleanup_fn end_process $pid
        cleanup_fn fusermount3 -u -z "$fuse"
        must_wait_for 20 nbdkit_ready "$tmp/$name.pid" $pid
        [ -s "$tmp/$name.pid" ] || {
                cat "$tmp/$name.log" >&2
                skip "nbdfuse does not work here"
        }
}
