/*
 * program: which program a device's agent is. The packaged one comes first at every start, and
 * hands over to one that came as a bundle: on trial, for a few starts (DIR/agent/try-N), or proven
 * (DIR/agent/current). It knows nothing of how a program proves itself.
 *
 * What stands in DIR/agent is read by packaged programs of any age: the name of a tree below
 * DIR/bundles, the SHA-256 of the program in it, and the seconds that a trial may take, in one
 * line.
 */
#ifndef DUNLIN_AGENT_PROGRAM_H
#define DUNLIN_AGENT_PROGRAM_H

#include "base/file.h"
#include "crypto/digest.h"

/* A program on trial is started this often at most: the power may fail in the middle. */
#define PROGRAM_STARTS_MAX 3
/* Two digests in hexadecimal, a number of ten digits, and what stands between and behind them. */
#define PROGRAM_RECORD_MAX (2 * (2 * DIGEST_LEN + 1) + 11)

/* One line of DIR/agent. */
struct program_record {
    struct digest tree;
    struct digest program;
    uint32_t limit_s; /* 0 of the proven one: it has no limit */
};

/* ERR_FORMAT for any text but the one that program_record_write makes of the same record. */
int program_record_read(struct span text, struct program_record *r);
struct span program_record_write(const struct program_record *r,
                                 char out[static PROGRAM_RECORD_MAX + 1]);

/*
 * To be called before anything of DIR is opened. Takes one start from a trial, durably, and becomes
 * the program on trial; or becomes the proven one; or returns, when there is none that is whole and
 * can be run, or when this process is one of these. A trial is ended by SIGALRM after its time,
 * whatever its program does. The first of `arguments` becomes the packaged program's path.
 */
void program_enter(const char *dir, char **arguments);
/* Begins anew, with the packaged program. Returns only when that can't be run. */
int program_again(char **arguments, struct errmsg *em);

/* The program for this kind of machine, ARCH/dunlin-agent in a tree. ERR_NOT_FOUND when there is
 * none. */
int program_find(const char *dir, const struct digest *tree, char out[static FILE_PATH_MAX],
                 struct errmsg *em);
/* This process is the program of that tree; of a zero one: it is the packaged program. */
bool program_runs(const char *dir, const struct digest *tree);
/* This process is neither the packaged program nor the proven one. */
bool program_on_trial(const char *dir);
/* The tree of the proven program; false when there is none. */
bool program_proven(const char *dir, struct digest *tree);
/* It was on trial, and has no start left. */
bool program_spent(const char *dir, const struct digest *tree);

/* The next PROGRAM_STARTS_MAX starts try this tree's program, each for so many seconds. */
int program_try(const char *dir, const struct digest *tree, uint32_t limit_s, struct errmsg *em);
/* The trial of this tree's program ends well: it is the proven one from now on. */
int program_prove(const char *dir, const struct digest *tree, struct errmsg *em);
/* This tree's program is the proven one, or the packaged one for a zero tree, and none is on trial.
 * 1 when that changed the proven one, else 0. */
int program_return(const char *dir, const struct digest *tree, struct errmsg *em);

#endif
