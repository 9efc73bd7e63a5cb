/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c - what the process may take. The host keeps the time by the clock. Where the system lets it, the process is the first
 * to be killed when the machine's memory ends.
 */
#include "apart.h"

#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/apart/limits.h"

#define LEAST_SPARE ((size_t)64 << 20)

/* Limits that the host's user set stay where they are lower. */
typedef struct known_limit {
    bool known;
    rlim_t most;
} known_limit;

static void set_soft(unsigned resource, rlim_t value, known_limit *known) {
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0) return;
    if (!known->known) *known = (known_limit){true, limit.rlim_cur};
    limit.rlim_cur = value < known->most ? value : known->most;
    setrlimit(resource, &limit);
}

static void offer_to_killer(void) {
    const int file = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (file < 0) return;
    (void)!write(file, "500", 3);
    close(file);
}

void vj_set_limits(const vj_call *call, int64_t external_bytes) {
    static known_limit memory, processors, core;
    const vj_limits limits = vj_limits_of(call, external_bytes);
    if (limits.memory) set_soft(RLIMIT_DATA, (rlim_t)limits.memory, &memory);
    if (limits.processors > 0 && limits.processors < 1e9)
        set_soft(RLIMIT_CPU, (rlim_t)ceil(limits.processors), &processors);
    set_soft(RLIMIT_CORE, 0, &core); /* whose folder would it be? */
    offer_to_killer();
}

/* Bytes of data by /proc/self/statm: "size resident shared text lib data dt", in pages. */
static size_t data_bytes(void) {
    char text[256];
    const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    const ssize_t length = file < 0 ? 0 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    size_t pages = 0;
    int word = 0;
    for (ssize_t i = 0; i < length && word <= 5; i++) {
        if (text[i] == ' ')
            word++;
        else if (word == 5)
            pages = pages * 10 + (size_t)(text[i] - '0');
    }
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

bool vj_memory_ended(void) {
    const size_t have = data_bytes(), more = have > LEAST_SPARE ? have : LEAST_SPARE;
    void *at = mmap(NULL, more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return true;
    munmap(at, more);
    return false;
}
