# An apt of its own, so that this machine's lists, sources and packages stay as they are. Whoever reads this has read
# lib.sh.
# shellcheck shell=sh
mirror=${DUNLIN_MIRROR:-http://deb.debian.org}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# open_apt FOLDER KIND ARCH: Debian 12, of KIND deb or deb-src, for machines of ARCH. It thinks that nothing is
# installed. Its lists are an hour old at most.
open_apt()
{
    needs apt-get
    [ -e "$keyring" ] || fail 1 "$keyring is missing: install debian-archive-keyring${hint:+, $hint}"
    apt=$1
    apt_arch=$3
    mkdir -p "$apt/lists/partial" "$apt/archives/partial"
    : >"$apt/status"
    for suite in 'debian bookworm' 'debian bookworm-updates' 'debian-security bookworm-security'; do
        echo "$2 [signed-by=$keyring] $mirror/$suite main"
    done >"$apt/sources.list"
    [ -z "$(find "$apt/updated" -mmin -60 2>/dev/null)" ] || return 0
    own apt-get -qq -o APT::Update::Error-Mode=any update || fail 1 "$mirror can't be read; is there a network?${hint:+ ($hint)}"
    touch "$apt/updated"
}

# own COMMAND ARGUMENT...: apt's COMMAND, in the folder that was opened last.
own()
{
    command=$1 && shift
    "$command" -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State="$apt" -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status" \
        -o Dir::Cache="$apt" -o APT::Sandbox::User=root -o APT::Architecture="$apt_arch" \
        -o APT::Architectures::="$apt_arch" "$@"
}
