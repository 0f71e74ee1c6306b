/*
 * limits: what the kernel grants this process. It knows nothing of what the process does with it.
 */
#ifndef DUNLIN_BASE_LIMITS_H
#define DUNLIN_BASE_LIMITS_H

/* What is in memory, keys and secrets among it, comes on no disk when the process crashes. */
void limits_leave_no_core(void);
/* As many files may be open as an ordinary process is allowed to ask for. */
void limits_raise_files(void);

#endif
