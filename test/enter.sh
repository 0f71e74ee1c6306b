# For tests that run in a Debian in a folder.
# shellcheck shell=sh

# enter FOLDER COMMAND...: as its root. Its mounts end with the command; the network is this machine's.
enter()
{
    # shellcheck disable=SC2016
    unshare -m sh -euc 'folder=$1 && shift
mount -t proc proc "$folder/proc"
mount --rbind /dev "$folder/dev"
exec chroot "$folder" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"' - "$@"
}
