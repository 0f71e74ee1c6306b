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
            [ $# -ge 2 ] || fail 2 "--root needs a folder"
            [ -d "$2" ] || fail 2 "--root $2: there is no such folder"
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
    [ -n "$root" ] || [ "$(id -u)" = 0 ] || fail 1 "only root can do that"
    "$what"
}

fail()
{
    echo "install.sh: $2" >&2
    exit "$1"
}

install()
{
    choose_init
    [ "$init" != systemd ] || add_user
    mkdir -p "$root/usr/bin" "$root/usr/lib/dunlin" "$root/etc/dunlin" "$root/var/lib/dunlin-agent"
    put dunlin-agent /usr/bin/dunlin-agent 755
    put join /usr/lib/dunlin/join 755
    [ -e "$root/etc/dunlin/agent.conf" ] || put agent.conf /etc/dunlin/agent.conf 644
    "add_to_$init"
    [ -e "$root/var/lib/dunlin-agent/agent.db" ] || tell_how_to_join
    echo "installed. To have it started, now and always, type: $start"
}

choose_init()
{
    if [ -x "$root/usr/lib/systemd/systemd" ] || [ -x "$root/lib/systemd/systemd" ]; then
        init=systemd
    elif [ -e "$root/sbin/openrc-run" ]; then
        init=openrc
    else
        init=script
    fi
}

# Whom the unit runs it as.
add_user()
{
    ! has_user || return 0
    command -v useradd >/dev/null || fail 1 "useradd is missing"
    useradd ${root:+--prefix "$root"} --system --user-group --home-dir /var/lib/dunlin-agent \
        --shell /usr/sbin/nologin dunlin-agent
}

has_user()
{
    if [ -n "$root" ]; then grep -q '^dunlin-agent:' "$root/etc/passwd"; else id dunlin-agent; fi >/dev/null 2>&1
}

# What $start names starts the new program in place of one that runs, and says so to the next boot.
add_to_systemd()
{
    mkdir -p "$root/etc/systemd/system"
    put dunlin-agent.service /etc/systemd/system/dunlin-agent.service 644
    reload_systemd
    start='systemctl enable dunlin-agent && systemctl restart dunlin-agent'
}

add_to_openrc()
{
    put dunlin-agent.openrc /etc/init.d/dunlin-agent 755
    start='rc-update add dunlin-agent && rc-service dunlin-agent restart'
}

add_to_script()
{
    mkdir -p "$root/etc/init.d"
    put dunlin-agent.init /etc/init.d/S90dunlin-agent 755
    start='/etc/init.d/S90dunlin-agent restart'
}

tell_how_to_join()
{
    echo "Write host=… and token=… into /var/lib/dunlin-agent/join.conf, as nobody has joined here yet."
}

reload_systemd()
{
    [ -n "$root" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
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
    [ ! -d "$root/usr/lib/dunlin" ] || rmdir "$root/usr/lib/dunlin" 2>/dev/null || true
    reload_systemd
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
    rm -rf "$root/var/lib/dunlin-agent" "$root/etc/dunlin/agent.conf" "$root"/var/log/dunlin-agent.log*
    [ ! -d "$root/etc/dunlin" ] || rmdir "$root/etc/dunlin" 2>/dev/null || true
    [ -n "$root" ] || ! has_user || userdel dunlin-agent || true
    echo "removed, with its identity"
}

main "$@"
