/*
 * fortify: what writes to memory ends the program where it would write past its end, wherever the
 * compiler knows how much there is. musl has no such variants of its functions, so every file is
 * compiled with this one before it; it knows only functions that the agent and its libraries call.
 */
#ifndef DUNLIN_CROSS_FORTIFY_H
#define DUNLIN_CROSS_FORTIFY_H

#pragma GCC system_header /* formats are checked where they are given */
/* Types only, as musl's headers take them: names of functions that it doesn't use are the file's
 * own. */
#define __NEED_size_t
#define __NEED_ssize_t
#define __NEED_off_t
#define __NEED_va_list
#include <bits/alltypes.h>

#define FORTIFIED extern inline __attribute__((gnu_inline, always_inline, artificial))
/* A copy may go across an object's members; text stays in the one that it is written to. */
#define WITHIN_OBJECT 0
#define WITHIN_MEMBER 1
#define ROOM(at, within) __builtin_object_size(at, within)
#define CHECK(count, at, within)                                                                   \
    do {                                                                                           \
        if ((count) > ROOM(at, within))                                                            \
            __builtin_trap();                                                                      \
    } while (0)

FORTIFIED void *memcpy(void *__restrict to, const void *__restrict from, size_t count)
{
    CHECK(count, to, WITHIN_OBJECT);
    CHECK(count, from, WITHIN_OBJECT);
    return __builtin_memcpy(to, from, count);
}

FORTIFIED void *memmove(void *to, const void *from, size_t count)
{
    CHECK(count, to, WITHIN_OBJECT);
    CHECK(count, from, WITHIN_OBJECT);
    return __builtin_memmove(to, from, count);
}

FORTIFIED void *memset(void *to, int byte, size_t count)
{
    CHECK(count, to, WITHIN_OBJECT);
    return __builtin_memset(to, byte, count);
}

FORTIFIED char *strcpy(char *__restrict to, const char *__restrict from)
{
    if (ROOM(to, WITHIN_MEMBER) != (size_t)-1)
        CHECK(__builtin_strlen(from) + 1, to, WITHIN_MEMBER);
    return __builtin_strcpy(to, from);
}

FORTIFIED char *strncpy(char *__restrict to, const char *__restrict from, size_t count)
{
    CHECK(count, to, WITHIN_MEMBER);
    return __builtin_strncpy(to, from, count);
}

FORTIFIED int vsnprintf(char *__restrict to, size_t count, const char *__restrict format,
                        va_list values)
{
    CHECK(count, to, WITHIN_MEMBER);
    return __builtin_vsnprintf(to, count, format, values);
}

FORTIFIED int snprintf(char *__restrict to, size_t count, const char *__restrict format, ...)
{
    CHECK(count, to, WITHIN_MEMBER);
    return __builtin_snprintf(to, count, format, __builtin_va_arg_pack());
}

/* No builtin stands for these, so they are called by another name. */
#define PLAIN(name, result, ...) extern result plain_##name(__VA_ARGS__) __asm__(#name)
PLAIN(read, ssize_t, int, void *, size_t);
PLAIN(pread, ssize_t, int, void *, size_t, off_t);
PLAIN(recv, ssize_t, int, void *, size_t, int);
PLAIN(readlink, ssize_t, const char *, char *, size_t);
PLAIN(readlinkat, ssize_t, int, const char *, char *, size_t);
PLAIN(getcwd, char *, char *, size_t);
#undef PLAIN

FORTIFIED ssize_t read(int file, void *to, size_t count)
{
    CHECK(count, to, WITHIN_MEMBER);
    return plain_read(file, to, count);
}

FORTIFIED ssize_t pread(int file, void *to, size_t count, off_t from)
{
    CHECK(count, to, WITHIN_MEMBER);
    return plain_pread(file, to, count, from);
}

FORTIFIED ssize_t recv(int file, void *to, size_t count, int flags)
{
    CHECK(count, to, WITHIN_MEMBER);
    return plain_recv(file, to, count, flags);
}

FORTIFIED ssize_t readlink(const char *__restrict path, char *__restrict to, size_t count)
{
    CHECK(count, to, WITHIN_MEMBER);
    return plain_readlink(path, to, count);
}

FORTIFIED ssize_t readlinkat(int folder, const char *__restrict path, char *__restrict to,
                             size_t count)
{
    CHECK(count, to, WITHIN_MEMBER);
    return plain_readlinkat(folder, path, to, count);
}

FORTIFIED char *getcwd(char *to, size_t count)
{
    CHECK(count, to, WITHIN_MEMBER);
    return plain_getcwd(to, count);
}

#undef CHECK
#undef ROOM
#undef WITHIN_MEMBER
#undef WITHIN_OBJECT
#undef FORTIFIED
#endif
