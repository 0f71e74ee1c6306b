#!/bin/sh
# The static agent where there is little: a root that can't be written to, with no /proc, /sys and /tmp, and null and
# urandom for devices; 32 MiB of memory, and a small data partition that gets full. It joins, takes what finds room,
# says what doesn't, and takes it once there is room; and updates itself there.
if ! mount_works=$(unshare -m true 2>&1) || [ "$(id -u)" -ne 0 ]; then
    echo "skipped: only root can make such a system: $mount_works"
    exit 77
fi
. "$(dirname "$0")/lib.sh"
need mount umount chroot prlimit
static=$ROOT/build/cross/$(uname -m)/dunlin-agent
[ -x "$static" ] || skip "there is no static agent: sh cross/build.sh $(uname -m)"

root=$WORK/root
memory=$((32 * 1024 * 1024))

make_system()
{
    mkdir -p "$root/dev" "$root/data"
    cp "$static" "$root/dunlin-agent"
    mknod -m 666 "$root/dev/null" c 1 3
    mknod -m 666 "$root/dev/urandom" c 1 9
    mount --bind "$root" "$root"
    disks="$root"
    mount -o remount,bind,ro "$root"
    mount -t tmpfs -o size=6m,mode=700 tmpfs "$root/data"
    disks="$root/data $disks"
    ln -s "$root/data" "$WORK/agent1"
    ! touch "$root/file" 2>/dev/null || fail "the root can be written to"
}

# inside ARGUMENT...: the agent in that system.
inside()
{
    prlimit --as=$memory chroot "$root" /dunlin-agent "$@"
}

# serve: as an init system does.
serve()
{
    cat >"$WORK/serve" <<END
trap 'kill \$child; wait \$child; exit' TERM
while :; do
    prlimit --as=$memory chroot "$root" /dunlin-agent run --dir /data &
    child=\$!
    wait \$child
    sleep 0.3
done
END
    sh "$WORK/serve" >>"$WORK/agent1.log" 2>&1 &
    echo $! >"$WORK/agent1.pid"
}

# release_file V KIB: a bundle of one file that nobody has seen yet.
release_file()
{
    mkdir -p "$WORK/file@$1"
    head -c "$(($2 * 1024))" /dev/urandom >"$WORK/file@$1/content"
    dunlin bundle push "$WORK/file@$1" --name file --version "$1" >/dev/null || fail "file@$1 is not taken"
    dunlin deploy "file@$1" --as file --all >/dev/null || fail "file@$1 is not deployed"
}

lacks_room()
{
    dunlin why 1 file 2>&1 | grep -qE "disk is full|room"
}

# shellcheck disable=SC2119
start_manager
make_system

step "it joins, and takes a version"
token=$(dunlin token create) || fail "no token"
inside join "$(join_url)" "$token" --dir /data --timeout 120 >>"$WORK/agent1.log" 2>&1 || fail "it does not join"
serve
release_file 1 500
within 30 agent_has 1 file 1 || fail "it does not take file@1: $(dunlin why 1 file 2>&1)"
agent_runs 1 file "$WORK/file@1" || fail "it runs something else"

step "it updates itself"
mkdir -p "$WORK/agents/$(uname -m)"
cp "$static" "$WORK/agents/$(uname -m)/"
dunlin bundle push "$WORK/agents" --kind agent --name agent --version 2 >/dev/null || fail "agent@2 is not taken"
dunlin deploy agent@2 --as agent --all >/dev/null || fail "agent@2 is not deployed"
within 60 agent_has 1 agent 2 || fail "it does not update itself: $(dunlin why 1 agent 2>&1)"
[ -s "$root/data/agent/current" ] || fail "nothing is proven"

step "what finds no room waits, and says so; the rest goes on"
cat /dev/zero >"$root/data/fill" 2>/dev/null || true
release_file 2 600
within 60 lacks_room || fail "it does not say that its disk is full: $(dunlin why 1 file 2>&1)"
agent_runs 1 file "$WORK/file@1" || fail "it runs something else on a full disk"
online 1 || fail "it is not online on a full disk"

step "with room again it takes it"
rm "$root/data/fill"
within 90 agent_has 1 file 2 || fail "it does not take file@2: $(dunlin why 1 file 2>&1)"
agent_runs 1 file "$WORK/file@2" || fail "it runs something else"
done_well
