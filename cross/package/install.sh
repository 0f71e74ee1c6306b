#!/bin/sh
# Usage: sh install.sh [--root DIR] [--remove | --purge]. Puts the agent of this tarball on a system
# without dpkg, and has its init start it: systemd, OpenRC, or any other by a script in /etc/init.d.
# Installed again, it replaces the program and keeps the identity; --remove keeps that, too.
set -eu
from=$(cd "$(dirname "$0")" && pwd)
root=
what=install

main()
{
    while [ $# -gt 0 ]; do
        case $1 in
        --root)
            [ $# -ge 2 ] || { echo "install.sh: --root needs a folder" >&2 && exit 2; }
            root=$2
            shift
            ;;
        --remove) what=remove ;;
        --purge) what=purge ;;
        -h | --help) sed -n '2,4s/^# //p' "$0" && exit 0 ;;
        *) sed -n '2,4s/^# //p' "$0" >&2 && exit 2 ;;
        esac
        shift
    done
    "$what"
}

install()
{
    mkdir -p "$root/usr/bin" "$root/usr/lib/dunlin" "$root/etc/dunlin" "$root/var/lib/dunlin-agent"
    put dunlin-agent /usr/bin/dunlin-agent 755
    put join /usr/lib/dunlin/join 755
    [ -e "$root/etc/dunlin/agent.conf" ] || put agent.conf /etc/dunlin/agent.conf 644
    if [ -x "$root/usr/lib/systemd/systemd" ] || [ -x "$root/lib/systemd/systemd" ]; then
        for tool in groupadd useradd; do
            command -v $tool >/dev/null || { echo "install.sh: $tool is missing" >&2 && exit 1; }
        done
        [ -n "$root" ] || id dunlin-agent >/dev/null 2>&1 ||
            useradd --system --user-group --home-dir /var/lib/dunlin-agent --shell /usr/sbin/nologin dunlin-agent
        mkdir -p "$root/etc/systemd/system"
        put dunlin-agent.service /etc/systemd/system/dunlin-agent.service 644
        start='systemctl enable --now dunlin-agent'
    elif [ -e "$root/sbin/openrc-run" ]; then
        put dunlin-agent.openrc /etc/init.d/dunlin-agent 755
        start='rc-update add dunlin-agent && rc-service dunlin-agent start'
    else
        mkdir -p "$root/etc/init.d"
        put dunlin-agent.init /etc/init.d/S90dunlin-agent 755
        start='/etc/init.d/S90dunlin-agent start'
    fi
    echo "installed. Write host=… and token=… into /var/lib/dunlin-agent/join.conf, and type: $start"
}

# A program that runs can't be written over, but another can take its name.
put()
{
    cp "$from/$1" "$root$2.new"
    chmod "$3" "$root$2.new"
    mv "$root$2.new" "$root$2"
}

# What is stopped and removed here may have been started by any of them, or by none.
remove()
{
    [ -n "$root" ] || stop
    rm -f "$root/usr/bin/dunlin-agent" "$root/usr/lib/dunlin/join" "$root/etc/systemd/system/dunlin-agent.service" \
        "$root/etc/init.d/dunlin-agent" "$root/etc/init.d/S90dunlin-agent"
    echo "removed; the identity is kept in /var/lib/dunlin-agent"
}

stop()
{
    [ ! -e /etc/systemd/system/dunlin-agent.service ] || systemctl --quiet disable --now dunlin-agent || true
    if [ -e /etc/init.d/dunlin-agent ]; then
        rc-service --ifstarted dunlin-agent stop || true
        rc-update --quiet --all del dunlin-agent || true
    fi
    [ ! -e /etc/init.d/S90dunlin-agent ] || /etc/init.d/S90dunlin-agent stop || true
}

purge()
{
    remove >/dev/null
    rm -rf "$root/var/lib/dunlin-agent" "$root/etc/dunlin/agent.conf"
    [ -n "$root" ] || ! id dunlin-agent >/dev/null 2>&1 || userdel dunlin-agent || true
    echo "removed, with its identity"
}

main "$@"
