/*
 * relro: what is written to when a program starts and never again, such as tables of functions'
 * addresses, can't be written to afterwards. Dynamic linkers see to that; a static program of musl
 * has none, so it does it itself, and knows nothing else.
 */
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>

/* The linker's name for the program's first byte. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* Whole pages only; the linker has the part end with one. */
__attribute__((constructor)) static void seal_relocated(void)
{
    const char *first = (const char *)&__ehdr_start;
    const ElfW(Phdr) *part = (const ElfW(Phdr) *)(first + __ehdr_start.e_phoff);
    const ElfW(Phdr) *end = part + __ehdr_start.e_phnum;
    uintptr_t base = __ehdr_start.e_type == ET_DYN ? (uintptr_t)first : 0;
    uintptr_t mask = ~(uintptr_t)(getauxval(AT_PAGESZ) - 1);
    for (; part < end; part++) {
        if (part->p_type != PT_GNU_RELRO)
            continue;
        uintptr_t from = (base + part->p_vaddr) & mask;
        uintptr_t to = (base + part->p_vaddr + part->p_memsz) & mask;
        if (from < to && mprotect((void *)from, to - from, PROT_READ) < 0)
            __builtin_trap();
    }
}
