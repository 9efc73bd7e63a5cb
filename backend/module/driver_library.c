/* SPDX-License-Identifier: Apache-2.0 */
/* driver_library.c - what the object of a shared library has for vj_load: the model's image, and the note that tells where
 * it is (include/vitjit_image.h). */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "driver.h"
#include "vitjit_image.h"

static_assert(sizeof(vj_library_note) == 72 + VJ_LIBRARY_FILE && offsetof(vj_library_note, image) == 40 &&
                  offsetof(vj_library_note, weights_file) == 72,
              "library note");

#define NAME_BYTES 8 /* the note's name, padded to a multiple of 4 */
#define BEFORE     (12 + NAME_BYTES)

static LLVMValueRef words_of(LLVMTypeRef type, const uint64_t pair[2]) {
    LLVMValueRef words[2] = {LLVMConstInt(type, pair[0], false), LLVMConstInt(type, pair[1], false)};
    return LLVMConstArray2(type, words, 2);
}

/* Text in so many bytes, the rest of them 0. */
static LLVMValueRef text_of(LLVMContextRef context, const char *text, size_t bytes) {
    char padded[VJ_LIBRARY_FILE] = {0};
    assert(bytes <= sizeof padded && strlen(text) < bytes);
    memcpy(padded, text, strlen(text));
    return LLVMConstStringInContext2(context, padded, bytes, true);
}

/* Nothing refers to them; they must stay all the same. */
static void keep(LLVMModuleRef module, LLVMValueRef *notes, int32_t count) {
    LLVMTypeRef pointer = LLVMPointerTypeInContext(LLVMGetModuleContext(module), 0);
    LLVMValueRef used = LLVMAddGlobal(module, LLVMArrayType2(pointer, (uint64_t)count), "llvm.used");
    LLVMSetInitializer(used, LLVMConstArray2(pointer, notes, (uint64_t)count));
    LLVMSetLinkage(used, LLVMAppendingLinkage);
    LLVMSetSection(used, "llvm.metadata");
}

static LLVMValueRef add_image(LLVMModuleRef module, const vj_bytes *image) {
    LLVMValueRef data =
        LLVMConstStringInContext2(LLVMGetModuleContext(module), (const char *)image->at, image->size, true);
    LLVMValueRef global = LLVMAddGlobal(module, LLVMTypeOf(data), "image");
    LLVMSetInitializer(global, data);
    LLVMSetGlobalConstant(global, true);
    LLVMSetLinkage(global, LLVMInternalLinkage);
    LLVMSetAlignment(global, VJ_ALIGN);
    return global;
}

static LLVMValueRef add_note(LLVMModuleRef module, const vj_object_abi *abi, const vj_bytes *bytes) {
    const vj_object_library *library = abi->library;
    vj_image_header header;
    memcpy(&header, bytes->at, sizeof header);
    LLVMContextRef context = LLVMGetModuleContext(module);
    LLVMTypeRef i8 = LLVMInt8TypeInContext(context), i32 = LLVMInt32TypeInContext(context);
    LLVMTypeRef i64 = LLVMInt64TypeInContext(context), pair = LLVMArrayType2(i64, 2);
    LLVMTypeRef members[] = {i32, i32, i32, LLVMArrayType2(i8, NAME_BYTES),     i32, i32, pair, pair, i64,
                             i64, i64, i64, LLVMArrayType2(i8, VJ_LIBRARY_FILE)};
    LLVMTypeRef type = LLVMStructTypeInContext(context, members, sizeof members / sizeof *members, true);
    LLVMValueRef note = LLVMAddGlobal(module, type, "note");
    LLVMValueRef before = LLVMConstInt(i64, BEFORE, false);
    LLVMValueRef here = LLVMConstPtrToInt(LLVMConstInBoundsGEP2(i8, note, &before, 1), i64),
                 zero = LLVMConstInt(i64, 0, false);
    LLVMValueRef image = add_image(module, bytes), weights = LLVMGetNamedGlobal(module, VJ_INSIDE_WEIGHTS);
    const int64_t inside = weights ? abi->shapes->weights_bytes : 0;
    LLVMValueRef values[] = {LLVMConstInt(i32, sizeof VJ_LIBRARY_NOTE, false),
                             LLVMConstInt(i32, sizeof(vj_library_note), false),
                             LLVMConstInt(i32, VJ_LIBRARY_TYPE, false),
                             text_of(context, VJ_LIBRARY_NOTE, NAME_BYTES),
                             LLVMConstInt(i32, VJ_LIBRARY_VERSION, false),
                             LLVMConstInt(i32, VJ_MODEL_ABI, false),
                             words_of(i64, header.model_hash),
                             words_of(i64, library->weights_check),
                             LLVMConstSub(LLVMConstPtrToInt(image, i64), here),
                             weights ? LLVMConstSub(LLVMConstPtrToInt(weights, i64), here) : zero,
                             LLVMConstInt(i64, bytes->size, false),
                             LLVMConstInt(i64, (unsigned long long)inside, false),
                             text_of(context, library->weights_file, VJ_LIBRARY_FILE)};
    /* In bounds and local: LLVM then knows that nothing is left to relocate, and does not make the section writable. */
    LLVMSetInitializer(note, LLVMConstStructInContext(context, values, sizeof values / sizeof *values, true));
    LLVMSetGlobalConstant(note, true);
    LLVMSetLinkage(note, LLVMInternalLinkage);
    LLVMSetAlignment(note, 4);
    LLVMSetSection(note, ".note.vitjit"); /* LLVM makes notes of sections with such names */
    return note;
}

void vj_gen_library(LLVMModuleRef module, const vj_object_abi *abi) {
    LLVMValueRef notes[VJ_MAX_CPUS];
    assert(abi->cpu_count <= VJ_MAX_CPUS);
    for (int32_t i = 0; i < abi->cpu_count; i++)
        notes[i] = add_note(module, abi, &abi->library->images[i]);
    keep(module, notes, abi->cpu_count);
}
