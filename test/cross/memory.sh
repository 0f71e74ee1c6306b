#!/bin/sh
# The static agent of this machine's kind, its hooks, and all that the kernel keeps of files for them, in 8 MiB together
# (a control group): so much is left of a machine with 32 MiB beside a kernel and an init. It joins, takes a bundle of 64
# MiB and its successor, and nothing is killed for want of memory.
# shellcheck source=../e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

limit=$((8 * 1024 * 1024))
bundle_kib=$((64 * 1024))

# make_group: $group, in the first or the second version of control groups.
make_group()
{
    groups=/sys/fs/cgroup most=memory.max peak=memory.peak kills=memory.events
    [ ! -d "$groups/memory" ] || { groups=$groups/memory most=memory.limit_in_bytes peak=memory.max_usage_in_bytes kills=memory.oom_control; }
    group=$groups/dunlin-$$
    mkdir "$group" 2>/dev/null || skip "no control group can be made here"
    echo "$limit" 2>/dev/null >"$group/$most" || { rmdir "$group" && skip "no control group limits memory here"; }
    [ ! -e "$group/memory.swap.max" ] || echo 0 >"$group/memory.swap.max"
}

# limited COMMAND...: becomes it, in the group.
limited()
{
    exec sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$@"
}

leave_group()
{
    ended=$?
    kill_process agent1 -9
    within 5 rmdir "$group" || true
    leave
}

built=$ROOT/build/cross/$(uname -m)
sh "$ROOT/cross/build.sh" --if-cached "$(uname -m)" || fail "it can't be built"
[ -e "$built/dunlin-agent" ] || skip "sh cross/build.sh $(uname -m)"
[ "$(stat -f -c %T "$WORK")" != tmpfs ] || skip "the files of $WORK would be memory themselves: set TMPDIR"
PATH=$built:$PATH
make_group
trap leave_group EXIT

start_manager "$@"
step "it joins"
token=$(dunlin token create --label env=test) || fail "no token"
(limited dunlin-agent join "$(join_url)" "$token" --dir "$WORK/agent1" --timeout 120 >>"$WORK/agent1.log" 2>&1) || fail "it does not join"
(limited dunlin-agent run --dir "$WORK/agent1" >>"$WORK/agent1.log" 2>&1) &
echo $! >"$WORK/agent1.pid"
within 30 online 1 || fail "it does not come online"

step "it takes a bundle of $bundle_kib KiB and its successor"
make_app 1 "$bundle_kib"
for version in 1 2; do
    release "$version" env=test
    within 120 app_is "$version" 1 || fail "version $version does not arrive: $(dunlin why 1 app 2>&1)"
done
[ "$(sed -n 's/^oom_kill //p' "$group/$kills")" = 0 ] || fail "something was killed for want of memory: $(cat "$group/$kills")"
! grep -q ' hook-failed \| fetch-failed ' "$WORK/agent1.log" || fail "not at the first go"
step "$(cat "$group/$peak") bytes at most, of which $(peak agent1) KiB were the agent's own"
done_well
