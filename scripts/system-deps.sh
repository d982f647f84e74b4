#!/usr/bin/env bash
# The tests look at pages with Debian's chromium, best the one without windows, and deliver through Debian's postfix;
# MORE names programs that only benchmarks or the long suites need.
# Installs either only when it is missing; starts nothing.
set -euo pipefail

# Debian keeps postfix's programs in /usr/sbin, which an ordinary user's PATH may lack.
PATH="$PATH:/usr/sbin:/sbin"

missing=()
browser=chromium-headless-shell
command -v "$browser" >/dev/null || missing+=("$browser")
command -v postfix >/dev/null || missing+=(postfix)
# Debian lets a machine have only one mail server, so the second one lies in a folder and brings nothing of its own.
beside=/usr/local/lib/prefcentre-tests
wants_exim=
for program in ${MORE:-}; do
    case "$program" in
        exim4)
            if [ ! -x "$beside/usr/sbin/exim4" ]; then
                wants_exim=1
                missing+=(libidn12 libgnutls-dane0 libnsl2)
            fi
            ;;
        dovecot)
            command -v dovecot >/dev/null || missing+=(dovecot-imapd dovecot-pop3d dovecot-lmtpd)
            ;;
        *)
            command -v "$program" >/dev/null || missing+=("$program")
            ;;
    esac
done
[ ${#missing[@]} -eq 0 ] && exit 0

# With windows it does the same and takes longer, so nobody has to install another one.
if [ "${missing[*]}" = "$browser" ] && command -v chromium >/dev/null; then
    is_optional=1
fi
# Says what is wrong and ends, unless the tests run without it as well.
give_up() {
    if [ -n "${is_optional:-}" ]; then
        echo "Without $browser the tests use chromium, and take some minutes longer." >&2
        exit 0
    fi
    printf '%s\n' "$@" >&2
    exit 1
}

if ! command -v apt-get >/dev/null; then
    give_up "The tests need ${missing[*]}, and only Debian's packages are installed by themselves." \
        "Install ${missing[*]} with this system's own package manager, then run this again."
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        give_up "The tests need ${missing[*]}. As root, once: apt-get install ${missing[*]}"
    fi
    as_root=(sudo -n)
fi

echo "Installing ${missing[*]} ..."
log=$(mktemp)
policy=
unpacking=
# shellcheck disable=SC2329
cleanup() {
    rm -f "$log"
    # An `if`, not `&&`: the last status of a trap would become the script's.
    if [ -n "$policy" ]; then "${as_root[@]}" rm -f "$policy"; fi
    if [ -n "$unpacking" ]; then "${as_root[@]}" rm -rf "$unpacking"; fi
}
trap cleanup EXIT

# Debian starts a daemon when it is installed unless this file says that it may not (101).
if [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi
# The tests bring a configuration of their own, so postfix gets none here.
echo "postfix postfix/main_mailer_type select No configuration" \
    | "${as_root[@]}" debconf-set-selections

install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=5 "$@" \
        </dev/null >>"$log" 2>&1
}
if ! { install update && install install -y --no-install-recommends "${missing[@]}"; }; then
    tail -n 20 "$log" >&2
    give_up "Installing ${missing[*]} failed; the last lines of apt-get are above."
fi

[ -n "$wants_exim" ] || exit 0
# Exim does not start where its user is missing; its package would make it. Nobody but root has to start this one.
unpack_exim() {
    unpacking=$(mktemp -d) && cd "$unpacking" \
        && apt-get -o Acquire::Retries=5 download exim4-daemon-light >>"$log" 2>&1 \
        && "${as_root[@]}" mkdir -p "$beside" \
        && "${as_root[@]}" dpkg -x exim4-daemon-light_*.deb "$beside" \
        && "${as_root[@]}" chmod u-s "$beside/usr/sbin/exim4" \
        && { getent passwd Debian-exim >/dev/null || "${as_root[@]}" useradd --system \
            --user-group --no-create-home --shell /usr/sbin/nologin Debian-exim; }
}
if ! unpack_exim; then
    tail -n 20 "$log" >&2
    give_up "Unpacking exim4-daemon-light failed; the last lines are above."
fi
