/* SPDX-License-Identifier: Apache-2.0 */
/* pack.c - reads the files that make_data.py writes. */
#include "pack.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void stop(const char *name) {
    fprintf(stderr, "%s: damaged or missing; make_data.py makes it\n", name);
    exit(1);
}

vj_pack vj_pack_open(const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/data/%s", VJ_TEST_DIR, name);
    vj_pack p = {0};
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) stop(path);
    p.size = (size_t)ftell(file);
    rewind(file);
    p.bytes = malloc(p.size + 1);
    if (!p.bytes || fread(p.bytes, 1, p.size, file) != p.size) stop(path);
    fclose(file);
    return p;
}

static const char *wanted_end;

static int ends_so(const struct dirent *entry) {
    size_t length = strlen(entry->d_name), end = strlen(wanted_end);
    return length >= end && strcmp(entry->d_name + length - end, wanted_end) == 0;
}

void vj_packs(const char *end, void (*each)(const char *name)) {
    struct dirent **entries;
    wanted_end = end;
    int count = scandir(VJ_TEST_DIR "/data", &entries, ends_so, alphasort);
    if (count < 1) stop(VJ_TEST_DIR "/data");
    for (int i = 0; i < count; i++) {
        each(entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

void vj_pack_close(vj_pack *pack) { free(pack->bytes); }

bool vj_pack_more(const vj_pack *pack) { return pack->at < pack->size; }

static const uint8_t *take(vj_pack *pack, size_t size) {
    if (size > pack->size - pack->at) stop("pack");
    const uint8_t *at = pack->bytes + pack->at;
    pack->at += size;
    return at;
}

uint32_t vj_pack_u32(vj_pack *pack) {
    uint32_t value;
    memcpy(&value, take(pack, sizeof value), sizeof value);
    return value;
}

const uint8_t *vj_pack_bytes(vj_pack *pack, size_t *size) {
    *size = vj_pack_u32(pack);
    return take(pack, *size);
}

void vj_pack_text(vj_pack *pack, char *out, size_t room) {
    size_t size;
    const uint8_t *at = vj_pack_bytes(pack, &size);
    if (size >= room) stop("pack");
    memcpy(out, at, size);
    out[size] = 0;
}

uint32_t vj_pack_tensors(vj_pack *pack, vj_pack_tensor *tensors) {
    uint32_t count = vj_pack_u32(pack);
    if (count > VJ_PACK_TENSORS) stop("pack");
    for (uint32_t t = 0; t < count; t++) {
        vj_pack_tensor *x = &tensors[t];
        x->is_integer = vj_pack_u32(pack) != 0;
        x->rank = vj_pack_u32(pack);
        x->count = 1;
        if (x->rank > 8) stop("pack");
        for (uint32_t i = 0; i < x->rank; i++) {
            x->dims[i] = vj_pack_u32(pack);
            x->count *= x->dims[i];
        }
        size_t bytes = (size_t)x->count * 8;
        void *copy = malloc(bytes + 8); /* aligned, as the file is not */
        if (!copy) stop("pack");
        memcpy(copy, take(pack, bytes), bytes);
        x->f = x->is_integer ? NULL : copy;
        x->i = x->is_integer ? copy : NULL;
    }
    return count;
}

void vj_pack_free_tensors(vj_pack_tensor *tensors, uint32_t count) {
    for (uint32_t t = 0; t < count; t++) {
        free((void *)(uintptr_t)tensors[t].f);
        free((void *)(uintptr_t)tensors[t].i);
    }
}
