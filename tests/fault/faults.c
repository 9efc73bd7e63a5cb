/* SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS 120 /* beyond which a piece of work hangs */
/* Calls that fail in the short form. */
#ifdef __SANITIZE_ADDRESS__
#define SHORT_FORM 30
#else
#define SHORT_FORM 100
#endif

/* Shared with the process that works: it may crash. */
typedef struct progress {
    long at, ended; /* the call that fails; whether no call is left */
    long answers, statuses, bad, fragile;
} progress;

typedef struct run {
    const fault_case *c;
    fault_kind kind;
    long step;
    progress *p;
} run;

static const char *const kinds[] = {"memory", "reading", "writing"};

static void tell(const run *r, const char *what, const char *text) {
    printf("%s, %s, call %ld (%s): %s%s%s\n", r->c->name, kinds[r->kind], r->p->at, fault_place(), what,
           *text ? ": " : "", text);
    fflush(stdout);
    r->p->bad++;
}

static bool blames_machine(fault_kind kind, const fault_outcome *o) {
    return o->status == VJ_SYSTEM && (kind == FAULT_MEMORY ? strstr(o->text, "memory") != NULL : o->text[0] != 0);
}

static void judge(const run *r, const fault_outcome *o) {
    const char *where;
    char what[64];
    const long leaks = fault_leaks(&where);
    if (o->wrong[0]) {
        tell(r, "wrong", o->wrong);
    } else if (o->status != VJ_OK && !blames_machine(r->kind, o)) {
        snprintf(what, sizeof what, "status %d", (int)o->status);
        tell(r, what, o->text);
    } else if (leaks) {
        snprintf(what, sizeof what, "%ld blocks are left, one by", leaks);
        tell(r, what, where);
    } else if (o->status == VJ_OK) {
        r->p->answers++;
    } else {
        r->p->statuses++;
    }
}

/* In a process of its own, from call p->at on. */
static void work_on(const run *r) {
    static fault_outcome o;
    for (;; r->p->at += r->step) {
        memset(&o, 0, sizeof o);
        alarm(SECONDS);
        fault_arm(r->kind, r->p->at);
        r->c->work(r->c->self, &o);
        if (fault_disarm() <= r->p->at) break;
        judge(r, &o);
    }
    r->p->ended = 1;
}

static void run_to_end(const run *r) {
    while (!r->p->ended) {
        int ended;
        fflush(NULL);
        const pid_t child = fork();
        if (child == 0) {
            work_on(r);
            fflush(NULL);
            _exit(0);
        }
        if (child < 0 || waitpid(child, &ended, 0) != child) {
            perror("fork");
            exit(1);
        }
        if (r->p->ended) break;
        char what[64];
        if (r->c->fragile && strstr(fault_place(), r->c->fragile)) {
            r->p->fragile++;
            r->p->at += r->step;
            continue;
        }
        snprintf(what, sizeof what, WIFSIGNALED(ended) ? "signal %d" : "exit %d",
                 WIFSIGNALED(ended) ? WTERMSIG(ended) : WEXITSTATUS(ended));
        tell(r, what, "");
        r->p->at += r->step;
    }
}

/* Unharmed, twice: what is made once for a process is there afterwards. Returns the calls of the second, or -1. */
static long count_calls(const fault_case *c, fault_kind kind) {
    static fault_outcome o;
    long calls = -1;
    const char *where;
    for (int i = 0; i < 2; i++) {
        memset(&o, 0, sizeof o);
        fault_arm(kind, -1);
        c->work(c->self, &o);
        calls = fault_disarm();
        const long leaks = fault_leaks(&where);
        if (o.status == VJ_OK && !o.wrong[0] && (i == 0 || !leaks)) continue;
        printf("%s: status %d %s%s without a fault, %ld blocks left by %s\n", c->name, (int)o.status, o.text, o.wrong,
               leaks, where);
        return -1;
    }
    return calls;
}

static long run_case(const fault_case *c, fault_kind kind, bool all, long from) {
    const long calls = count_calls(c, kind), most = c->most ? c->most : SHORT_FORM;
    if (calls < 0) return 1;
    if (calls == 0) return 0;
    progress *p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return 1;
    const run r = {c, kind, all || calls <= most ? 1 : (calls + most - 1) / most, p};
    p->at = from;
    run_to_end(&r);
    printf("%s, %s: %ld calls, of which %ld failed: %ld right answers, %ld statuses, %ld bad\n", c->name, kinds[kind],
           calls, p->answers + p->statuses + p->bad + p->fragile, p->answers, p->statuses, p->bad);
    if (p->fragile) printf("    and %ld crashes of %s's own\n", p->fragile, c->fragile);
    const long bad = p->bad;
    munmap(p, sizeof *p);
    return bad;
}

int fault_main(int argc, char **argv, const fault_case *cases, int count) {
    bool all = false;
    const char *only = "";
    long from = 0, bad = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--all") == 0) all = true;
        if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) only = argv[++i];
        if (strcmp(argv[i], "--from") == 0 && i + 1 < argc) from = atol(argv[++i]);
    }
    for (int i = 0; i < count; i++)
        for (int kind = 0; kind < FAULT_KINDS && strstr(cases[i].name, only); kind++)
            if (kind != FAULT_WRITE || cases[i].writes) bad += run_case(&cases[i], (fault_kind)kind, all, from);
    return bad ? 1 : 0;
}
