#!/usr/bin/env bash
# Makes a base image for the Dockerfile out of Debian packages, for where no image can be pulled:
#
#   deploy/base-image.sh [--force] [NAME]       NAME: gslb-base:bookworm
#   docker build --build-arg BASE_IMAGE=gslb-base:bookworm -t gslb .
#
# Debian 12 (minbase) with Python 3.11, its venv, and this machine's certificate authorities, so that pip
# works behind a private one. Takes a minute. Does nothing if the image is there, unless --force.
# Packages come from debootstrap's own default; MIRROR=URL names another one, and http_proxy is heeded.
set -euo pipefail

SUITE=bookworm
PACKAGES=python3,python3-venv,ca-certificates
AUTHORITIES=/etc/ssl/certs/ca-certificates.crt

say() { printf 'base-image: %s\n' "$*"; }
fail() { printf 'base-image: %s\n' "$*" >&2; exit 1; }

force=no
name=
for argument in "$@"; do
    case $argument in
        --force) force=yes ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
        -*) printf 'base-image: unknown option %s; there is --force\n' "$argument" >&2; exit 2 ;;
        *)
            [ -z "$name" ] || { echo "base-image: one NAME, please" >&2; exit 2; }
            name=$argument
            ;;
    esac
done
name=${name:-gslb-base:bookworm}

command -v docker > /dev/null || fail "there is no docker here; install Docker Engine (Debian: docker.io)"
docker version > /dev/null 2>&1 ||
    fail "no Docker engine answers; start it (systemctl start docker), or be a user who may use it"
if [ $force = no ] && docker image inspect "$name" > /dev/null 2>&1; then
    say "$name is there already; --force makes it anew"
    exit 0
fi

# debootstrap changes its root: it needs to be root itself.
root=()
if [ "$(id -u)" != 0 ]; then
    sudo -n true 2> /dev/null || fail "this needs root: sudo $0 $*"
    root=(sudo -n --preserve-env=http_proxy,https_proxy,no_proxy)
fi

if ! PATH=$PATH:/usr/sbin command -v debootstrap > /dev/null; then
    command -v apt-get > /dev/null || fail "there is no debootstrap here; install it and try again"
    say "installing debootstrap"
    { "${root[@]}" apt-get update -qq &&
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes debootstrap; } \
        > /dev/null 2>&1 || fail "debootstrap cannot be installed; try: apt-get install debootstrap"
fi

tree=$(mktemp -d "${TMPDIR:-/tmp}/base-image.XXXXXXXX")
child=
clean() {
    if [ -n "$child" ]; then
        "${root[@]}" kill -TERM -- "-$child" 2> /dev/null || true
        wait "$child" 2> /dev/null || true
    fi
    # What debootstrap mounts into the tree must not be removed with it.
    for mounted in proc sys; do
        "${root[@]}" umount "$tree/$mounted" 2> /dev/null || true
    done
    "${root[@]}" rm -rf --one-file-system "$tree"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "fetching and unpacking Debian $SUITE with Python; about a minute"
# In a process group of its own, and waited for: a signal to this script ends it at once.
setsid "${root[@]}" env PATH="$PATH:/usr/sbin:/sbin" debootstrap --variant=minbase --include="$PACKAGES" \
    "$SUITE" "$tree/root" ${MIRROR:+"$MIRROR"} > "$tree/log" 2>&1 &
child=$!
wait "$child" || {
    child=
    { tail -n 3 "$tree/root/debootstrap/debootstrap.log" 2> /dev/null || true; sed -n '/^[EW]: /p' "$tree/log"; } |
        tail -n 4 >&2
    fail "debootstrap failed, see above; is there a way to a Debian mirror? (MIRROR=URL names one)"
}
child=

# Not needed to run or to install: package files, lists, texts, other languages. Licences stay.
"${root[@]}" sh -c '
    cd "$1" || exit 1
    rm -rf var/cache/apt/archives/*.deb var/cache/apt/*.bin var/lib/apt/lists/* var/cache/debconf/*-old
    rm -rf usr/share/man/* usr/share/info/* usr/share/locale/* var/log/*.log var/log/apt
    find usr/share/doc -type f ! -name copyright -delete
    find usr/share/doc -depth -type d -empty -delete
    if [ -s "$2" ]; then cp -L "$2" "${1}$2"; fi
' sh "$tree/root" "$AUTHORITIES"

say "importing it as $name"
"${root[@]}" tar --numeric-owner -C "$tree/root" -c . |
    docker import -c "ENV PIP_CERT=$AUTHORITIES" -c 'CMD ["python3"]' \
        -m "deploy/base-image.sh: Debian $SUITE, $PACKAGES" - "$name" > /dev/null ||
    fail "the engine did not take the image, see above"
say "$name: $(($(docker image inspect -f '{{.Size}}' "$name") / 1000000)) MB"
