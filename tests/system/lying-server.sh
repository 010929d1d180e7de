# A source that lies: the job fails with the class "protocol" (or "transport" where it hangs up) on the source,
# never with a wrong image and success, and the daemon lives.
# labels: core
# variants: short empty cookie magic hangup eio
source "$(dirname "$0")/../lib/functions.sh"
requires jq

random_file "$tmp/src" 4M
truncate -s 4M "$tmp/dst"
start_peer --file "$tmp/src" --lie "$1" --after 3
start_kcopyd --quarantine 3
copy --timeout 5 "$uri" "$tmp/dst"
expect_status 1
case $1 in
short | empty | magic) class='"protocol"' ;;
cookie) class='"protocol", "timeout", "transport"' ;;
hangup) class='"transport"' ;;
eio) class='"media"' ;;
esac
expect '.state == "failed"' 're' ".source.error.class | IN($class)" 'd(0).bytes.copied < 4194304'
copy "$tmp/src" "$tmp/dst2"
expect_done
same_bytes "$tmp/src" "$tmp/dst2"
