# A client in another language, generated from the schema with protoc, on protobuf's stock runtime alone.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq protoc

random_file "$tmp/src" 1M
truncate -s 1M "$tmp/dst"
export_file "$tmp/src"
src=$uri
export_file "$tmp/dst"
port=$(free_port)
start_kcopyd --listen "tcp:127.0.0.1:$port" --plaintext
for server in "$KCOPYD_SERVER" "tcp:127.0.0.1:$port"; do
        /usr/bin/python3 "$tests/system/python-client.py" "$tests/../proto" "$server" "$src" "$uri" >"$out" 2>"$errs" ||
                fail "$server: $(tail -n 5 "$errs")"
done
