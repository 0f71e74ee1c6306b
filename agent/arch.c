#include "agent/arch.h"

#include <stddef.h>
#include <sys/utsname.h>

/* Only the compiler knows. 32-bit kernels call every ARM from the seventh version on armv7l. */
#if defined __x86_64__
#define BUILT_FOR "x86_64"
#elif defined __i386__
#define BUILT_FOR "i686"
#elif defined __aarch64__ && !defined __AARCH64EB__
#define BUILT_FOR "aarch64"
#elif defined __arm__ && !defined __ARMEB__ && __ARM_ARCH >= 7
#define BUILT_FOR "armv7l"
#elif defined __arm__ && !defined __ARMEB__ && __ARM_ARCH == 6
#define BUILT_FOR "armv6l"
#elif defined __riscv && __riscv_xlen == 64
#define BUILT_FOR "riscv64"
#else
#define BUILT_FOR NULL
#endif

const char *arch_name(void)
{
    static const char *const name = BUILT_FOR;
    static struct utsname kernel;
    if (name)
        return name;
    return uname(&kernel) == 0 ? kernel.machine : "";
}
