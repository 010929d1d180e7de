# NBD over TLS with certificates, checked against the host name; another name is refused.
# labels: core
source "$(dirname "$0")/../lib/functions.sh"
requires nbdkit jq certtool

mkdir "$tmp/pki"
(
        cd "$tmp/pki"
        certtool --generate-privkey --key-type ecdsa --outfile ca-key.pem
        printf 'cn = "test"\nca\ncert_signing_key\n' >ca.info
        certtool --generate-self-signed --load-privkey ca-key.pem --template ca.info --outfile ca-cert.pem
        certtool --generate-privkey --key-type ecdsa --outfile server-key.pem
        printf 'cn = "localhost"\ndns_name = "localhost"\ntls_www_server\nsigning_key\n' >server.info
        certtool --generate-certificate --load-ca-certificate ca-cert.pem --load-ca-privkey ca-key.pem \
                --load-privkey server-key.pem --template server.info --outfile server-cert.pem
) >"$tmp/certtool.log" 2>&1 || fail "certtool: $(tail -n 3 "$tmp/certtool.log")"
random_file "$tmp/src" 2M
start_nbdkit_tcp --tls=require --tls-certificates="$tmp/pki" file "$tmp/src"
start_kcopyd
copy "nbds://localhost:$port/?tls-certificates=$tmp/pki" "$tmp/dst"
expect_done
same_bytes "$tmp/src" "$tmp/dst"
copy "nbds://127.0.0.1:$port/?tls-certificates=$tmp/pki" "$tmp/none"
expect_status 3
[ ! -e "$tmp/none" ] || fail "a file was made"
