/*
 * arch: the kind of machine that this program was built for, by the name that `uname -m` has for
 * it. It knows nothing of the kernel that it runs on, which may be of a wider kind: a 64-bit one
 * runs programs for 32 bits too, and what surrounds them there is for 32 bits.
 */
#ifndef DUNLIN_AGENT_ARCH_H
#define DUNLIN_AGENT_ARCH_H

/* Always the same; where we know no name for it, what the kernel says. */
const char *arch_name(void);

#endif
