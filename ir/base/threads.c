/* SPDX-License-Identifier: Apache-2.0 */
/* threads.c - threads of the compiler. Without memory or threads there is less help, and no failure. */
#include "threads.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct member {
    pthread_t thread;
    vj_work *work;
    void *self;
    int32_t worker;
} member;

struct vj_crew {
    int32_t count;
    member members[];
};

static void *run_member(void *self) {
    const member *m = self;
    m->work(m->self, m->worker);
    return NULL;
}

vj_crew *vj_crew_start(int32_t count, vj_work *work, void *self) {
    vj_crew *crew = count > 1 ? calloc(1, sizeof *crew + (size_t)(count - 1) * sizeof *crew->members) : NULL;
    while (crew && crew->count < count - 1) {
        member *m = &crew->members[crew->count];
        *m = (member){.work = work, .self = self, .worker = crew->count + 1};
        if (pthread_create(&m->thread, NULL, run_member, m) != 0) break;
        crew->count++;
    }
    if (!crew || crew->count) return crew;
    free(crew);
    return NULL;
}

int32_t vj_crew_join(vj_crew *crew) {
    const int32_t count = crew ? crew->count : 0;
    for (int32_t i = 0; i < count; i++)
        pthread_join(crew->members[i].thread, NULL);
    free(crew);
    return count;
}

int32_t vj_fork_join(int32_t count, vj_work *work, void *self) {
    vj_crew *crew = vj_crew_start(count, work, self);
    work(self, 0);
    return 1 + vj_crew_join(crew);
}
