/* SPDX-License-Identifier: Apache-2.0 */
/* bench_rooms.c - what --bench with pictures runs: a model for each size that they have, compiled before anything is measured. */
#include "modes.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

/* Of a single output [N, C]; 0: the way of a picture ends with the run. */
static int64_t classes_of(const vj_model *model) {
    const vj_tensor_info *t = &model->outputs[0];
    return vj_output_count(model) == 1 && vj_are_class_rows(t) ? t->dims[1] : 0;
}

static vj_status open_room(const vj_bench_rooms *all, const int64_t size[2], vj_bench_room *room) {
    vj_status status = VJ_OK;
    memcpy(room->size, size, sizeof room->size);
    room->command = all->command;
    if (all->range.is_range) {
        status = vj_command_of_size(all->command, &all->range, size, &room->own);
        room->command = &room->own.command;
    }
    if (status == VJ_OK) status = vj_companions_open(room->command, &room->companions, &room->job);
    if (status == VJ_OK) status = vj_bench_loader(room, &room->job, &room->loader);
    if (status) return status;
    room->classes = classes_of(room->job.model);
    vj_loader_announce(&room->loader);
    return VJ_OK;
}

vj_status vj_bench_loader(const vj_bench_room *room, const vj_job *job, vj_loader *loader) {
    return vj_loader_open(room->command, job, vj_companions_batch(&room->companions, job->model), loader);
}

/* The size's room, opened when it is met first. */
static vj_status find_room(vj_bench_rooms *all, const int64_t size[2], int32_t *at) {
    for (*at = 0; *at < all->count; ++*at)
        if (memcmp(all->at[*at]->size, size, sizeof all->at[*at]->size) == 0) return VJ_OK;
    vj_bench_room **more = realloc(all->at, (size_t)(all->count + 1) * sizeof(vj_bench_room *));
    if (more) all->at = more;
    vj_bench_room *room = more ? calloc(1, sizeof *room) : NULL;
    if (!room) return vj_print_error(VJ_SYSTEM, all->command->model, "no memory");
    all->at[all->count++] = room;
    return open_room(all, size, room);
}

/* Once before: what cannot be read, or has none of the sizes, is said (*bad) and left out. */
static vj_status read_once(vj_bench_rooms *all, const char *path, vj_status *bad) {
    vj_opened_picture picture;
    vj_fitted_size of = {{0}, {0}};
    vj_bench_guest guest = {.path = path};
    vj_status status = VJ_OK;
    *bad = vj_loader_read(all->command, path, &picture);
    if (*bad == VJ_OK && all->range.is_range)
        *bad = vj_size_of_picture(all->command, &all->range, path, picture.height, picture.width, &of);
    if (*bad == VJ_OK) status = find_room(all, of.size, &guest.room);
    if (*bad == VJ_OK && status == VJ_OK) {
        vj_loader *loader = &all->at[guest.room]->loader;
        memcpy(guest.seen, of.seen, sizeof guest.seen);
        loader->filled = 0;
        *bad = vj_loader_put(loader, &picture, all->range.is_range ? guest.seen : NULL);
    }
    if (*bad == VJ_OK && status == VJ_OK) {
        vj_tell_zeros(path, &of);
        all->guests[all->guest_count++] = guest;
    }
    vj_loader_drop(&picture);
    return *bad == VJ_SYSTEM ? VJ_SYSTEM : status;
}

/* Without ranges the model is opened before any picture is read. */
static vj_status open_all(vj_bench_rooms *all, vj_status *worst) {
    const int64_t any[2] = {0, 0};
    int32_t first;
    vj_status bad, status = all->range.is_range ? VJ_OK : find_room(all, any, &first);
    all->guests = calloc((size_t)all->paths.count, sizeof *all->guests);
    if (!all->guests) return vj_print_error(VJ_SYSTEM, all->command->model, "no memory");
    for (int32_t i = 0; i < all->paths.count && status == VJ_OK; i++) {
        status = read_once(all, all->paths.at[i], &bad);
        if (bad) *worst = bad;
    }
    return status ? status : all->guest_count ? VJ_OK : *worst;
}

vj_status vj_bench_rooms_open(const vj_command *command, vj_bench_rooms *all, vj_status *worst) {
    *all = (vj_bench_rooms){.command = command};
    vj_status status = vj_picture_range(command, &all->range);
    if (status) return status;
    *worst = vj_paths_find(command, &all->paths);
    if (*worst == VJ_SYSTEM || all->paths.count == 0) return *worst;
    return open_all(all, worst);
}

void vj_bench_rooms_close(vj_bench_rooms *all) {
    for (int32_t i = 0; i < all->count; i++) {
        vj_bench_room *room = all->at[i];
        vj_loader_free(&room->loader);
        vj_companions_free(&room->companions);
        vj_job_close(&room->job);
        vj_sized_free(&room->own);
        free(room);
    }
    free(all->at);
    free(all->guests);
    vj_paths_free(&all->paths);
    free((void *)(uintptr_t)all->range.shape.name);
    *all = (vj_bench_rooms){0};
}
