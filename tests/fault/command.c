/* SPDX-License-Identifier: Apache-2.0 */
/* command.c - the command line in this process, on models that the cache has, with failing memory, reads and writes: what it prints is what it prints
 * otherwise, or its exit status blames the machine and a line on stderr says so. What it writes is whole or not there. */
#include "faults.h"
#include "folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/cli.h"

#define MOST_WORDS 16

typedef struct job {
    const char *words[MOST_WORDS];
    const char *writes; /* a file that it writes, or NULL */
    char *wanted;       /* what it printed first, malloc'ed */
} job;

static int texts[2]; /* in memory: what goes to stdout and to stderr */

static void read_text(int which, char *to, size_t room) {
    const ssize_t got = pread(texts[which], to, room - 1, 0);
    to[got > 0 ? got : 0] = 0;
}

static vj_status run(const job *j) {
    char *words[MOST_WORDS + 1];
    int count = 0;
    for (; count < MOST_WORDS && j->words[count]; count++)
        words[count] = (char *)(uintptr_t)j->words[count];
    words[count] = NULL;
    fault_resume();
    const vj_status status = vj_cli(count, words);
    fault_pause();
    return status;
}

static void work(void *self, fault_outcome *out) {
    static char text[1 << 16];
    job *j = self;
    int before[2];
    fault_pause();
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        before[i] = dup(i + 1);
        if (ftruncate(texts[i], 0) != 0 || lseek(texts[i], 0, SEEK_SET) != 0 || dup2(texts[i], i + 1) < 0) abort();
    }
    out->status = run(j);
    fflush(NULL);
    clearerr(stdout);
    for (int i = 0; i < 2; i++) {
        dup2(before[i], i + 1);
        close(before[i]);
    }
    read_text(1, out->text, sizeof out->text);
    read_text(0, text, sizeof text);
    if (!j->wanted) j->wanted = strdup(text);
    if (out->status == VJ_OK && strcmp(text, j->wanted) != 0)
        snprintf(out->wrong, sizeof out->wrong, "it printed %.400s and said %.400s", text, out->text);
    if (j->writes && out->status != VJ_OK && access(j->writes, F_OK) == 0)
        snprintf(out->wrong, sizeof out->wrong, "%s is there", j->writes);
    if (j->writes) unlink(j->writes);
}

static char cache[512], folder[512], logits[512], stats[512];

#define PICTURES VJ_DIGITS "pictures/"

static job jobs[] = {
    {.words = {"vitjit", VJ_DIGITS "digits.onnx", PICTURES "three.png", "--cache", cache, "-j", "1", NULL}},
    {.words = {"vitjit", VJ_DIGITS "digits.onnx", PICTURES "three.png", PICTURES "four.png", "--format", "jsonl",
               "--cache", cache, "-j", "1", NULL}},
    {.words = {"vitjit", VJ_DIGITS "digits.onnx", "--input", VJ_INPUT, "--output", folder, "--cache", cache, "-j", "1",
               "--quiet", NULL},
     .writes = logits},
    {.words = {"vitjit", VJ_DIGITS "digits.onnx", PICTURES, "--cache", cache, "-j", "1", "--topk", "1", NULL}},
};

int main(int argc, char **argv) {
    static const fault_case cases[] = {
        {.name = "picture", .work = work, .self = &jobs[0]},
        {.name = "objects of JSON", .work = work, .self = &jobs[1]},
        {.name = "tensors", .work = work, .self = &jobs[2], .writes = true},
        {.name = "folder", .work = work, .self = &jobs[3]},
    };
    if (!folder_make()) return 1;
    snprintf(cache, sizeof cache, "%s/cache", folder_path());
    snprintf(folder, sizeof folder, "%s/out", folder_path());
    snprintf(logits, sizeof logits, "%s/out/logits.npy", folder_path());
    snprintf(stats, sizeof stats, "%s/stats.json", folder_path());
    for (int i = 0; i < 2; i++)
        if ((texts[i] = memfd_create("text", 0)) < 0) return 1;
    const int status = status_of("mkdir -m 700 '%s' '%s'", cache, folder) != 0
                           ? 1
                           : fault_main(argc, argv, cases, (int)(sizeof cases / sizeof *cases));
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        free(jobs[i].wanted);
    return folder_remove() ? status : 1;
}
