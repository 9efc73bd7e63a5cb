/* SPDX-License-Identifier: Apache-2.0 */
/* pack.h - reads the files that make_data.py writes. Their layout is described there. */
#ifndef VITJIT_TESTS_FRONTEND_PACK_H
#define VITJIT_TESTS_FRONTEND_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct vj_pack {
    uint8_t *bytes;
    size_t size, at;
} vj_pack;

typedef struct vj_pack_tensor {
    bool is_integer;
    uint32_t rank, dims[8];
    int64_t count;
    const double *f; /* malloc'ed; vj_pack_free_tensors frees it */
    const int64_t *i;
} vj_pack_tensor;

enum { VJ_PACK_TENSORS = 16 };

/* Opens VJ_TEST_DIR/data/NAME, or ends the test. */
vj_pack vj_pack_open(const char *name);
void vj_pack_close(vj_pack *pack);
/* Calls `each` for every file of data/ whose name ends with `end`, in alphabetical order. */
void vj_packs(const char *end, void (*each)(const char *name));
bool vj_pack_more(const vj_pack *pack);
uint32_t vj_pack_u32(vj_pack *pack);
/* The pack owns the bytes. */
const uint8_t *vj_pack_bytes(vj_pack *pack, size_t *size);
void vj_pack_text(vj_pack *pack, char *out, size_t room);
uint32_t vj_pack_tensors(vj_pack *pack, vj_pack_tensor *tensors);
void vj_pack_free_tensors(vj_pack_tensor *tensors, uint32_t count);

#endif
