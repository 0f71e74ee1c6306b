#!/bin/sh
# Usage: libraries.sh TARGET FOLDER SOURCES. Builds musl and the libraries that an agent is made of
# for a target, from the tarballs in the folder SOURCES, into FOLDER: lib/, include/ and bin/cc, the
# compiler that uses them. Its output depends on nothing but these files and the compiler.
. "$(dirname "$0")/lib.sh"

choose "$1"
prefix=$2
sources=$3
work=$prefix.work
jobs=$(nproc)

# What a program is defended with; each can be left out, to see what it costs (cross/hardening.sh).
harden=${DUNLIN_HARDEN-protector clash fortify pie relro now noexecstack}

common='-Os -g -pipe -std=gnu11 -ffunction-sections -fdata-sections -fno-ident -fno-unwind-tables -fno-asynchronous-unwind-tables'
linking='-Wl,-static,--gc-sections,--build-id=none'

main()
{
    add_hardening
    rm -rf "$work" "$prefix"
    mkdir -p "$work" "$prefix/bin" "$prefix/include" "$prefix/lib/pkgconfig"
    build_musl
    write_compiler
    ! hardened relro || build_relro
    for one in mbedtls sqlite3 libzstd mosquitto msgpack-c cunit; do
        say "$target: $one"
        (unpack "$one" && cd "$work/$one" && "build_$(echo "$one" | tr -c 'a-z0-9\n' _)")
    done
    rm -rf "$work"
}

add_hardening()
{
    for what in $harden; do
        case $what in
        protector) common="$common -fstack-protector-strong $(guard)" ;;
        clash) common="$common -fstack-clash-protection" ;;
        fortify | pie | relro | now | noexecstack) ;;
        *) fail 2 "there is no hardening $what" ;;
        esac
    done
    if hardened pie; then
        common="$common -fPIE" linking="$linking,-pie,--no-dynamic-linker,-z,text"
    else
        common="$common -fno-pie -no-pie"
    fi
    hardened relro && linking="$linking,-z,relro" || linking="$linking,-z,norelro"
    hardened now && linking="$linking,-z,now" || linking="$linking,-z,lazy"
    hardened noexecstack && linking="$linking,-z,noexecstack" || linking="$linking,-z,execstack"
}

# Every thread of musl has the guard at a fixed place: reading it there is shorter than by way of an address. GCC does so
# by itself on x86_64 only.
guard()
{
    case $target in
    aarch64) echo '-mstack-protector-guard=sysreg -mstack-protector-guard-reg=tpidr_el0 -mstack-protector-guard-offset=-16' ;;
    armv7) echo '-mstack-protector-guard=tls -mstack-protector-guard-offset=-8' ;;
    riscv64) echo '-mstack-protector-guard=tls -mstack-protector-guard-reg=tp -mstack-protector-guard-offset=-16' ;;
    esac
}

hardened()
{
    case " $harden " in *" $1 "*) ;; *) false ;; esac
}

# unpack PACKAGE: into $work/PACKAGE, with Debian's patches.
unpack()
{
    folder=$work/$1
    mkdir -p "$folder"
    tar -x -C "$folder" --strip-components=1 -f "$(tarball_of "$1" orig)"
    tar -x -C "$folder" -f "$(tarball_of "$1" debian)"
    [ -e "$folder/debian/patches/series" ] || return 0
    grep -vE '^(#|$)' "$folder/debian/patches/series" | while read -r patch rest; do
        grep -qx "without $1 $patch" "$cross/sources" ||
            patch -d "$folder" -s -f -p1 <"$folder/debian/patches/$patch" >/dev/null ||
            fail 1 "$1: Debian's patch $patch doesn't apply"
    done
}

# Awk, since + and . of versions mean nothing there.
tarball_of()
{
    echo "$sources/$(awk -v p="$1" -v k="$2.tar" '$1 == p && index($3, k) { print $3 }' "$cross/sources")"
}

build_musl()
{
    say "$target: musl"
    unpack musl
    cd "$work/musl"
    # Nobody prints a fraction, and long doubles would be computed by software: printf of one fails.
    sed -i 's/l = fmt_fp(f, arg\.f, w, p, fl, t);/l = -1;/; s/arg->f = va_arg(\*ap, double)/va_arg(*ap, double)/' src/stdio/vfprintf.c
    # shellcheck disable=SC2086
    CC="$triplet-gcc $machine" AR="$triplet-ar" RANLIB="$triplet-ranlib" CFLAGS="$(flags) -fno-stack-protector" ./configure \
        --prefix="$prefix" --syslibdir="$prefix/lib" --target="$triplet" --disable-shared \
        --disable-wrapper --disable-gcc-wrapper >configure.log 2>&1 || { cat configure.log >&2 && exit 1; }
    make -s -j "$jobs" install >make.log 2>&1 || { cat make.log >&2 && exit 1; }
    # The kernel's own headers are no part of a libc.
    for headers in linux asm asm-generic; do
        for at in "/usr/$triplet/include" "/usr/include/$triplet" /usr/include; do
            [ -e "$at/$headers" ] && ln -s "$at/$headers" "$prefix/include/$headers" && break
        done
    done
    cd "$cross"
}

# As musl's own specs, but for static programs that may be loaded anywhere: libc and libgcc call each other.
write_compiler()
{
    start=crt1.o begin=crtbeginT.o end=crtend.o relro='' fortify=''
    ! hardened pie || { start=rcrt1.o && begin=crtbeginS.o && end=crtendS.o; }
    ! hardened relro || relro=$prefix/lib/relro.o
    ! hardened fortify || fortify="-include $prefix/include/fortify.h"
    cp "$cross/fortify.h" "$prefix/include/"
    cat >"$prefix/lib/musl.specs" <<END
%rename cpp_options old_cpp_options

*cpp_options:
-nostdinc -isystem $prefix/include -isystem include%s %(old_cpp_options)

*cc1:
%(cc1_cpu) -nostdinc -isystem $prefix/include -isystem include%s

*link_libgcc:
-L$prefix/lib -L .%s

*libgcc:
libgcc.a%s

*link_gcc_c_sequence:
--start-group %G %L --end-group

*startfile:
$prefix/lib/$start $prefix/lib/crti.o $begin%s $relro

*endfile:
$end%s $prefix/lib/crtn.o

*link:
-nostdlib

*esp_link:


*esp_options:


*esp_cpp_options:


END
    cat >"$prefix/bin/cc" <<END
#!/bin/sh
case " \$* " in
*' -c '* | *' -E '* | *' -S '*) exec $triplet-gcc -specs $prefix/lib/musl.specs $machine $common $fortify "\$@" ;;
*) exec $triplet-gcc -specs $prefix/lib/musl.specs $machine $common $fortify $linking "\$@" ;;
esac
END
    chmod +x "$prefix/bin/cc"
    for tool in ar ranlib nm size strip; do
        ln -s "$(command -v "$triplet-$tool")" "$prefix/bin/$tool"
    done
}

flags()
{
    echo "$common -ffile-prefix-map=$work=."
}

build_relro()
{
    "$prefix/bin/cc" -c "-ffile-prefix-map=$cross=." -o "$prefix/lib/relro.o" "$cross/relro.c"
}

# archive NAME FLAGS FILE...: one library of these files, in this order.
archive()
{
    name=$1
    own=$2
    shift 2
    make -s -j "$jobs" -f "$cross/archive.mk" OUT="$prefix/lib/lib$name.a" CC="$prefix/bin/cc" AR="$triplet-ar" \
        CFLAGS="-ffile-prefix-map=$work=. $own" SOURCES="$*"
}

# package NAME LIBRARY: for pkg-config.
package()
{
    cat >"$prefix/lib/pkgconfig/$1.pc" <<END
Name: $1
Description: $1, for devices
Version: 0
Libs: -L$prefix/lib -l$2
Cflags: -I$prefix/include
END
}

build_mbedtls()
{
    cp "$cross/mbedtls.h" include/mbedtls/config.h
    cp -R include/mbedtls "$prefix/include/"
    archive mbedcrypto '-Iinclude -Ilibrary -w' library/*.c
    archive mbedx509 '' && archive mbedtls ''
}

# The parser of SQL is made without the statements that are left out, so the one big file has to be
# made here, by tclsh. Our statements call no functions, so SQLite is to know none; and without ATTACH it
# would lack a function of that file which others call.
build_sqlite3()
{
    omit=$(grep -vE '^(#|$)' "$cross/sqlite" | sed 's/^/-DSQLITE_/' | paste -sd ' ' -)
    sed -i '/^  static FuncDef a\(BuiltinFunc\|DateTimeFuncs\)\[\] = {$/,/^  };$/{//!d}' src/func.c src/date.c
    sed -i '/^int sqlite3DbIsNamed(/,/^}$/{s/^int.*/#endif\n&/; s/^}$/&\n#ifndef SQLITE_OMIT_ATTACH/}' src/attach.c
    CC=gcc CFLAGS=-O1 ./configure --disable-tcl --disable-readline >configure.log 2>&1 || { cat configure.log >&2 && exit 1; }
    make -s OPTS="$omit" sqlite3.c >make.log 2>&1 || { cat make.log >&2 && exit 1; }
    cp sqlite3.h "$prefix/include/"
    archive sqlite3 "$omit -w" sqlite3.c
    package sqlite3 sqlite3
}

# The compressor is for the tests; nothing of it is linked into an agent, which cross/check.sh sees to.
build_libzstd()
{
    cp lib/zstd.h lib/zstd_errors.h "$prefix/include/"
    small='-DXXH_NAMESPACE=ZSTD_ -DZSTD_LEGACY_SUPPORT=0 -DZSTD_DISABLE_ASM -DZSTD_STRIP_ERROR_STRINGS=1'
    small="$small -DHUF_FORCE_DECOMPRESS_X1 -DZSTD_FORCE_DECOMPRESS_SEQUENCES_SHORT -DZSTD_NO_INLINE"
    archive zstd "$small" lib/common/*.c lib/compress/*.c lib/decompress/*.c
    package libzstd zstd
}

# Without TLS, which the bridge brings, and proxies. No thread is ever started, but sync/mqtt has the library
# queue what is sent as if there were some.
build_mosquitto()
{
    cp include/mosquitto.h "$prefix/include/"
    archive mosquitto '-D_GNU_SOURCE -DWITH_THREADING -DWITH_UNIX_SOCKETS -DVERSION="2.0.11" -Iinclude -Ilib -I. -Ideps -w' lib/*.c
    package libmosquitto mosquitto
}

build_msgpack_c()
{
    for header in sysdep pack_template; do
        sed 's/@MSGPACK_ENDIAN_BIG_BYTE@/0/; s/@MSGPACK_ENDIAN_LITTLE_BYTE@/1/' "cmake/$header.h.in" \
            >"include/msgpack/$header.h"
    done
    cp -R include/msgpack include/msgpack.h "$prefix/include/"
    archive msgpackc '-Iinclude -w' src/*.c
}

# For the tests of a target.
build_cunit()
{
    mkdir -p "$prefix/include/CUnit"
    cp CUnit/Headers/*.h "$prefix/include/CUnit/"
    archive cunit '-ICUnit/Headers -DVERSION="2.1" -DRELEASE="3" -w' CUnit/Sources/Framework/*.c CUnit/Sources/Basic/*.c
    package cunit cunit
}

main
