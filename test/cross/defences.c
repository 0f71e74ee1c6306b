/*
 * defences: mistakes that a program for devices must not get away with, each by its name. They go
 * unnoticed where nothing stands in their way, and know nothing of what does.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What musl has the kernel throw for the guards of the stack. */
extern uintptr_t __stack_chk_guard;

static struct {
    char name[8];
    char rest[64];
} text;

static int seven(void)
{
    return 7;
}

static int eight(void)
{
    return 8;
}

static int (*const relocated[])(void) = {seven, eight};

/* fortify, of what malloc gave */
static void copy(size_t count)
{
    char *few = malloc(8);
    memcpy(few, text.rest, 8 + count);
    text.rest[0] = few[0];
}

/* fortify, of a member */
static void print(size_t count)
{
    snprintf(text.name, 8 + count, "%s", "longer than eight");
}

/* protector: a bit of its guard, or, without one, of a register of main's that it needs no more */
static __attribute__((noipa)) void flip(volatile char *at)
{
    *at = (char)(*at ^ 64);
}

static __attribute__((noinline)) void smash(size_t count)
{
    volatile char few[8];
    flip(few);
    flip(few + count);
}

/* No mistake: its guard is written over with what it is. */
static __attribute__((noipa)) void put_guard(volatile char *at)
{
    for (size_t i = 0; i < sizeof __stack_chk_guard; i++)
        at[i] = ((const char *)&__stack_chk_guard)[i];
}

static __attribute__((noinline)) void keep(size_t count)
{
    volatile char few[8];
    flip(few);
    put_guard(few + count);
}

/* relro */
static void redirect(size_t count)
{
    int (*volatile * first)(void) = (int (*volatile *)(void))(uintptr_t)&relocated[0];
    *first = relocated[count & 1];
}

/* noexecstack; of ARM's function the lowest bit says that it is Thumb */
static void execute(size_t count)
{
    char code[64];
    uintptr_t from = (uintptr_t)relocated[count & 1], thumb = from & 1;
    memcpy(code, (const void *)(from - thumb), sizeof code);
    __builtin___clear_cache(code, code + sizeof code);
    printf("%d\n", ((int (*)(void))((uintptr_t)code + thumb))());
}

static void nothing(size_t count)
{
    (void)count;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*make)(size_t count);
    } mistakes[] = {
        {"copy", copy},       {"print", print}, {"smash", smash},     {"redirect", redirect},
        {"execute", execute}, {"keep", keep},   {"nothing", nothing},
    };
    size_t i = 0, count = sizeof mistakes / sizeof *mistakes;
    while (i < count && (argc != 2 || strcmp(argv[1], mistakes[i].name) != 0))
        i++;
    if (i == count)
        return 2;
    mistakes[i].make((size_t)argc * 4);
    return 0;
}
