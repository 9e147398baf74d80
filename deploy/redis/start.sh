#!/bin/sh
# Start Redis or Valkey with the users of users.acl; passwords come from the environment and are kept as digests only.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
users=${REDIS_ACL_FILE:-/tmp/users.acl}

digest() {
    printf %s "$1" | sha256sum | cut -d ' ' -f 1
}

umask 077
sed -e "s/MILLRACE_SHA256/$(digest "${REDIS_PASSWORD:?}")/" \
    -e "s/PRODUCER_SHA256/$(digest "${REDIS_PRODUCER_PASSWORD:?}")/" \
    -e "s/NAMESPACE/${MILLRACE_NAMESPACE:-millrace}/g" \
    "$here/users.acl" >"$users"
unset REDIS_PASSWORD REDIS_PRODUCER_PASSWORD

server=$(command -v valkey-server || command -v redis-server)
exec "$server" "$here/redis.conf" --dir "${REDIS_DIR:-/data}" --aclfile "$users" --maxmemory "${REDIS_MAXMEMORY:?}" \
    --appendfsync "${REDIS_APPENDFSYNC:?}" "$@"
