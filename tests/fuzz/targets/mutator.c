/* SPDX-License-Identifier: Apache-2.0 */
/* mutator.c - the engine's changes of ONNX models: mostly those of mutate.c, which leave a message that can be read; now and then the engine's own, of bytes. */
#include "target.h"

#include "mutate.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned int seed) {
    rng r = {seed * 0x2545f4914f6cdd1du};
    char what[600];
    size_t changed = 0;
    uint8_t *model = chance(&r, 85) ? mutate(&r, data, size, &changed, what, sizeof what) : NULL;
    if (model && changed <= most)
        memcpy(data, model, changed);
    else
        changed = LLVMFuzzerMutate(data, size, most);
    free(model);
    return changed;
}
