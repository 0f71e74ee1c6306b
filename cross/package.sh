#!/bin/sh
# Makes packages of what is built: .deb for Debian and its kin, and tarballs with an install script
# for systems without dpkg or systemd. The same input gives the same bytes.
. "$(dirname "$0")/lib.sh"

usage="usage: sh cross/package.sh [--out DIR] WHAT ...
Makes packages in build/cross/packages. WHAT is
  TARGET     dunlin-agent_VERSION_ARCH.deb and dunlin-agent-VERSION-TARGET.tar.gz
             of what cross/build.sh made; targets: $(target_names)
  manager    dunlin-manager_VERSION_ARCH.deb, manager and operator's command line for this
             machine's kind, of build/release (cmake --workflow --preset release)
  manager-TARGET   the same of what cross/manager.sh made
  --out DIR  where TARGET/dunlin-agent is, and packages/ goes (build/cross)"

out=$source_dir/build/cross
version=${DUNLIN_VERSION:-$(sed -n 's/^project(dunlin VERSION \([0-9.]*\).*/\1/p' "$source_dir/CMakeLists.txt")}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$source_dir" log -1 --format=%ct 2>/dev/null || echo 1767225600)}
export SOURCE_DATE_EPOCH

main()
{
    [ "${1-}" != --out ] || { out=$2 && shift 2; }
    case ${1-} in
    -h | --help) echo "$usage" && exit 0 ;;
    '' | -*) echo "$usage" && exit 2 ;;
    esac
    mkdir -p "$out/packages"
    tree=$(mktemp -d)
    trap 'rm -rf "$tree"' EXIT
    for one; do
        case $one in
        manager)
            choose "$(uname -m)"
            package_manager "$source_dir/build/release" "cmake --preset release && cmake --build --preset release"
            continue
            ;;
        manager-*)
            choose "${one#manager-}"
            package_manager "$out/$target/manager" "sh cross/manager.sh $target"
            continue
            ;;
        esac
        choose "$one"
        [ -e "$out/$target/dunlin-agent" ] || fail 1 "$target is not built: sh cross/build.sh $target"
        package_agent
        pack_tarball
    done
}

package_agent()
{
    clear_tree
    put "$out/$target/dunlin-agent" usr/bin/dunlin-agent 755
    put "$cross/package/join" usr/lib/dunlin/join 755
    put "$cross/package/dunlin-agent.service" lib/systemd/system/dunlin-agent.service 644
    put "$cross/package/agent.conf" etc/dunlin/agent.conf 644
    put "$cross/package/hooks-apart.conf" usr/share/doc/dunlin-agent/examples/hooks-apart.conf 644
    agent_help | manual dunlin-agent 'keep a device as its fleet wants it'
    control dunlin-agent 'passwd' '' "agent of a fleet of edge devices
 Keeps this device as its fleet wants it, over links that come and go: one static
 program that joins with a one-time token and then needs nothing more to be typed."
    maintain dunlin-agent dunlin-agent /var/lib/dunlin-agent /etc/dunlin/agent.conf
    build_deb
}

# package_manager FOLDER COMMAND: of what COMMAND leaves in FOLDER.
package_manager()
{
    bin=$1
    [ -x "$bin/dunlin-manager" ] || fail 1 "$bin/dunlin-manager is missing: $2"
    clear_tree
    for program in dunlin-manager dunlin; do
        put "$bin/$program" "usr/bin/$program" 755
        "$triplet-strip" -s -R .comment "$tree/root/usr/bin/$program"
    done
    put "$cross/package/dunlin-manager.service" lib/systemd/system/dunlin-manager.service 644
    put "$cross/package/manager.conf" etc/dunlin/manager.conf 644
    run "$bin/dunlin-manager" --help | manual dunlin-manager 'decide what a fleet of devices runs'
    operator_help | manual dunlin 'run software on a fleet of devices'
    control dunlin-manager "$(libraries_of), passwd, mosquitto" '' "manager of a fleet of edge devices, and its command line
 Decides, signs and publishes what each device of a fleet runs. Devices run
 dunlin-agent; brokers between them are Mosquitto's, which the manager looks after."
    maintain dunlin-manager dunlin /var/lib/dunlin /etc/dunlin/manager.conf
    build_deb
}

clear_tree()
{
    rm -rf "$tree/root"
    mkdir -p "$tree/root/DEBIAN"
}

# put FILE PATH MODE
put()
{
    mkdir -p "$(dirname "$tree/root/$2")"
    cp "$1" "$tree/root/$2"
    chmod "$3" "$tree/root/$2"
}

manual()
{
    page=$1.1.gz
    sh "$cross/package/manual.sh" "$@" | gzip -9n >"$tree/page"
    put "$tree/page" "usr/share/man/man1/$page" 644
}

# run PROGRAM ARGUMENT...: those of other kinds of machines under an emulator, to say how they are used.
run()
{
    [ "$target" = "$(uname -m)" ] ||
        set -- "qemu-$(echo "$target" | sed 's/armv7/arm/')-static" -L "$out/$target/manager/debian" "$@"
    "$@"
}

agent_help()
{
    for verb in '' join run status; do
        # shellcheck disable=SC2086
        run "$out/$target/dunlin-agent" $verb --help
        echo
    done
}

operator_help()
{
    run "$bin/dunlin" --help
    run "$bin/dunlin" --help | sed -n 's/^  \([a-z]* \{0,1\}[a-z]*\)   *[a-z].*/\1/p' | while read -r verb; do
        # shellcheck disable=SC2086
        echo && run "$bin/dunlin" help $verb
    done
}

# What cross/manager.sh has of Debian is asked first, where it has it.
libraries_of()
{
    mkdir -p "$tree/debian"
    echo 'Source: dunlin' >"$tree/debian/control"
    set -- root/usr/bin/dunlin-manager root/usr/bin/dunlin
    [ ! -e "$bin/debian" ] || set -- "-S$bin/debian" "$@"
    (cd "$tree" && DEB_HOST_ARCH=$arch dpkg-shlibdeps -O "$@" 2>/dev/null) | sed 's/^shlibs:Depends=//'
}

control()
{
    cat >"$tree/root/DEBIAN/control" <<END
Package: $1
Version: $version
Architecture: $arch
Maintainer: Dunlin
Section: admin
Priority: optional
Depends: $2
Installed-Size: $(du -k -s --apparent-size "$tree/root" | cut -f 1)
Description: $4
END
}

# maintain PACKAGE USER FOLDER CONFFILE: the user is made when it is missing; removing keeps the
# folder with the identity, purging takes it away.
maintain()
{
    echo "$4" >"$tree/root/DEBIAN/conffiles"
    for script in postinst prerm postrm; do
        sed "s,@package@,$1,g; s,@user@,$2,g; s,@folder@,$3,g" "$cross/package/$script" >"$tree/$script"
        put "$tree/$script" "DEBIAN/$script" 755
    done
    mkdir -p "$tree/root/usr/share/doc/$1"
    put "$source_dir/LICENSE" "usr/share/doc/$1/copyright" 644
}

build_deb()
{
    find "$tree/root" -type d -exec chmod 755 {} +
    (cd "$tree/root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\n' | sort | xargs md5sum >DEBIAN/md5sums)
    find "$tree/root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    file=$out/packages/$(sed -n 's/^Package: //p' "$tree/root/DEBIAN/control")_${version}_$arch.deb
    dpkg-deb --root-owner-group -Zxz -b "$tree/root" "$file" >/dev/null
    echo "$file"
}

pack_tarball()
{
    name=dunlin-agent-$version-$target
    rm -rf "${tree:?}/$name"
    mkdir "$tree/$name"
    cp "$out/$target/dunlin-agent" "$source_dir/LICENSE" "$cross/package/join" "$cross/package/agent.conf" \
        "$cross/package/install.sh" "$cross/package"/dunlin-agent.* "$tree/$name/"
    chmod 755 "$tree/$name"/*.sh "$tree/$name/join" "$tree/$name/dunlin-agent"
    tar -c --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -C "$tree" "$name" |
        gzip -9n >"$out/packages/$name.tar.gz"
    echo "$out/packages/$name.tar.gz"
}

main "$@"
