# NBD over TLS with pre-shared keys, from the user's own key file; a wrong key is refused with the reason.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq psktool

random_file "$tmp/src" 2M
truncate -s 2M "$tmp/dst"
psktool -u alice -p "$tmp/keys.psk" >/dev/null 2>&1
psktool -u alice -p "$tmp/wrong.psk" >/dev/null 2>&1
export_file "$tmp/src" --tls=require --tls-psk="$tmp/keys.psk"
src="nbds+unix://alice@/?socket=$sock&tls-psk-file=$tmp/keys.psk"
wrong="nbds+unix://alice@/?socket=$sock&tls-psk-file=$tmp/wrong.psk"
plain="nbd+unix:///?socket=$sock"
export_file "$tmp/dst" --tls=require --tls-psk="$tmp/keys.psk"
dst="nbds+unix://alice@/?socket=$sock&tls-psk-file=$tmp/keys.psk"
start_kcopyd
copy "$src" "$dst"
expect_done
same_bytes "$tmp/src" "$tmp/dst"
copy "$wrong" "$tmp/none"
expect_status 3
copy "$plain" "$tmp/none"
expect_status 3
[ ! -e "$tmp/none" ] || fail "a file was made"
