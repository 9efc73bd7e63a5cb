/* SPDX-License-Identifier: Apache-2.0 */
/* driver.c - the model's driver: void phase(const vj_args *, phase, part, parts), as vitjit_image.h says.
 *
 * What the plan says of kernels is in constant tables, and one function of a fixed size walks them: code for every kernel's
 * call took LLVM longer than the kernels themselves. It does a run of kernels over some images: `images` of them from
 * number `first` on, on scratch slots from `slot` on; the units of all of them are one range of numbers, of which part
 * `part` of `parts` does its share. Phase 0 does all kernels for one image after another as part 0 of 1; phases 1.. do
 * theirs for the images left over.
 */
#include "driver.h"

#include "vitjit_image.h"

#include <stdlib.h>
#include <string.h>

/* The tables: rows of i64, but for the kernels' addresses, which are i32 from the table's own on: nothing in them depends
 * on where the code is loaded. */
enum { PHASE_FIRST, PHASE_LAST, PHASE_WORDS };                                                /* kernels */
enum { KERNEL_UNITS, KERNEL_FIRST, KERNEL_LAST, KERNEL_WORDS };                               /* its accesses */
enum { ACCESS_OFFSET, ACCESS_IMAGE, ACCESS_SLOT, ACCESS_MEMBER, ACCESS_INDEX, ACCESS_WORDS }; /* access_row */

enum { ARGS, RUN_FIRST, RUN_LAST, FIRST, IMAGES, SLOT, PART, PARTS, SHARE_PARAMETERS }; /* of the function */

typedef struct driver {
    vj_gen g;
    LLVMValueRef const *functions; /* of the kernels */
    int64_t scratch_fixed;
    bool marks;
    LLVMValueRef address, phases, kernels, accesses; /* the tables */
    LLVMValueRef share;
} driver;

/* On the target, of a member of vj_args whose place here is `offset`: before it stand pointers alone. */
static int64_t member(const vj_gen *g, size_t offset) {
    return (int64_t)(offset / sizeof(void *)) * g->target->machine->pointer_bytes;
}

static LLVMValueRef mul(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildNSWMul(g->b, a, b, ""); }
static LLVMValueRef add(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildNSWAdd(g->b, a, b, ""); }
static LLVMValueRef sub(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildNSWSub(g->b, a, b, ""); }
static LLVMValueRef divide(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildUDiv(g->b, a, b, ""); }

/* Tables */

static LLVMValueRef add_table(const driver *d, const char *name, LLVMTypeRef element, LLVMValueRef *words,
                              int64_t count) {
    LLVMValueRef table = LLVMAddGlobal(d->g.module, LLVMArrayType2(element, (uint64_t)count), name);
    if (words) LLVMSetInitializer(table, LLVMConstArray2(element, words, (uint64_t)count));
    LLVMSetGlobalConstant(table, true);
    LLVMSetLinkage(table, LLVMInternalLinkage);
    LLVMSetAlignment(table, VJ_ALIGN);
    return table;
}

/* A tensor without the batch in its dims is the same for all images. */
static bool grows_with_batch(const vj_program *p, const vj_buffer *buffer) {
    if (!p->f || !p->f->batch_is_open) return true;
    const vj_type *type =
        vj_type_at(p->f, (buffer->kind == VJ_BUFFER_INPUT ? p->f->inputs : p->f->outputs)[buffer->index]);
    for (int32_t i = 0; i < type->rank; i++)
        if (type->dims[i].sym == VJ_SYM_BATCH) return true;
    return false;
}

/* Where access `number` of kernel k is at when all axes are 0: bytes from the pointer in a member of vj_args on, or from
 * the pointer of that index in the member's list; the bytes grow with the image or with its slot of the scratch. */
static void access_row(const driver *d, const vj_kernel *k, int32_t number, int64_t row[ACCESS_WORDS]) {
    const vj_program *p = d->g.p;
    const vj_access *access = &k->access[number];
    const vj_buffer *buffer = &p->buffers[access->buffer];
    const int64_t size = vj_element_bytes(buffer->dtype);
    memset(row, 0, ACCESS_WORDS * sizeof *row);
    row[ACCESS_OFFSET] = access->offset * size;
    row[ACCESS_INDEX] = -1;
    switch (buffer->kind) {
    case VJ_BUFFER_ARENA:
        row[ACCESS_MEMBER] = member(&d->g, offsetof(vj_args, scratch));
        row[ACCESS_OFFSET] += d->scratch_fixed + buffer->offset;
        row[ACCESS_SLOT] = p->per_image_bytes;
        break;
    case VJ_BUFFER_WEIGHT:
        row[ACCESS_MEMBER] = member(&d->g, offsetof(vj_args, weights));
        /* Panels are always read from their start. */
        if (vj_is_packed(p, access->buffer)) row[ACCESS_OFFSET] = 0;
        row[ACCESS_OFFSET] += buffer->offset;
        break;
    default:
        row[ACCESS_MEMBER] =
            member(&d->g, buffer->kind == VJ_BUFFER_INPUT ? offsetof(vj_args, inputs) : offsetof(vj_args, outputs));
        row[ACCESS_INDEX] = buffer->index;
        if (grows_with_batch(p, buffer)) row[ACCESS_IMAGE] = buffer->elements * size;
        break;
    }
}

typedef struct words {
    LLVMValueRef *at;
    int64_t count;
} words;

static void put(const vj_gen *g, words *w, const int64_t *row, int32_t count) {
    for (int32_t i = 0; i < count; i++)
        w->at[w->count++] = vj_i64(g, row[i]);
}

/* Kernels from the table of their addresses on; on wasm, where functions are no addresses, their numbers. */
static void fill_addresses(driver *d, LLVMValueRef *list) {
    const vj_gen *g = &d->g;
    if (g->target->machine->format == VJ_FORMAT_WASM) {
        memcpy(list, d->functions, (size_t)g->p->kernel_count * sizeof *list);
        d->address = add_table(d, "kernel_addresses", g->ptr, list, g->p->kernel_count);
        return;
    }
    d->address = add_table(d, "kernel_addresses", g->i32, NULL, g->p->kernel_count);
    LLVMValueRef from = LLVMConstPtrToInt(d->address, g->i64);
    for (int32_t i = 0; i < g->p->kernel_count; i++)
        list[i] = LLVMConstTrunc(LLVMConstSub(LLVMConstPtrToInt(d->functions[i], g->i64), from), g->i32);
    LLVMSetInitializer(d->address, LLVMConstArray2(g->i32, list, (uint64_t)g->p->kernel_count));
}

static int64_t count_accesses(const vj_program *p) {
    int64_t count = 0;
    for (int32_t i = 0; i < p->kernel_count; i++)
        count += p->kernels[i]->access_count;
    return count;
}

static bool add_tables(driver *d) {
    const vj_gen *g = &d->g;
    const vj_program *p = g->p;
    const size_t room = (size_t)count_accesses(p) * ACCESS_WORDS + (size_t)p->kernel_count * (KERNEL_WORDS + 1) +
                        (size_t)p->phase_count * PHASE_WORDS + 1;
    LLVMValueRef *all = calloc(room, sizeof *all);
    if (!all) return false;
    words phases = {all, 0}, kernels = {phases.at + p->phase_count * PHASE_WORDS, 0};
    words accesses = {kernels.at + p->kernel_count * KERNEL_WORDS, 0};
    int64_t access_count = 0;
    for (int32_t i = 0; i < p->phase_count; i++)
        put(g, &phases, (int64_t[]){p->phases[i].first, p->phases[i].first + p->phases[i].count}, PHASE_WORDS);
    for (int32_t i = 0; i < p->kernel_count; i++) {
        const vj_kernel *k = p->kernels[i];
        const int64_t last = access_count + k->access_count;
        put(g, &kernels, (int64_t[]){vj_max64(1, k->units), access_count, last}, KERNEL_WORDS);
        for (int32_t a = 0; a < k->access_count; a++) {
            int64_t row[ACCESS_WORDS];
            access_row(d, k, a, row);
            put(g, &accesses, row, ACCESS_WORDS);
        }
        access_count = last;
    }
    d->phases = add_table(d, "phases", g->i64, phases.at, phases.count);
    d->kernels = add_table(d, "kernels", g->i64, kernels.at, kernels.count);
    d->accesses = add_table(d, "accesses", g->i64, accesses.at, accesses.count);
    fill_addresses(d, accesses.at + accesses.count);
    free(all);
    return true;
}

/* Row `row` of a table of rows of `width` words. */
static LLVMValueRef row_at(const vj_gen *g, LLVMValueRef table, LLVMValueRef row, int32_t width) {
    return vj_element(g, table, VJ_I64, mul(g, row, vj_i64(g, width)));
}

static LLVMValueRef word(const vj_gen *g, LLVMValueRef row, int32_t number) {
    return LLVMBuildLoad2(g->b, g->i64, vj_element(g, row, VJ_I64, vj_i64(g, number)), "");
}

/* Code */

static void begin_function(driver *d, const char *name, LLVMTypeRef *parameters, unsigned count) {
    vj_gen *g = &d->g;
    g->function =
        LLVMAddFunction(g->module, name, LLVMFunctionType(LLVMVoidTypeInContext(g->context), parameters, count, false));
    const unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", strlen("nounwind"));
    LLVMAddAttributeAtIndex(g->function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(g->context, nounwind, 0));
    LLVMPositionBuilderAtEnd(g->b, LLVMAppendBasicBlockInContext(g->context, g->function, "entry"));
}

static LLVMValueRef load_pointer(const vj_gen *g, LLVMValueRef at) { return LLVMBuildLoad2(g->b, g->ptr, at, ""); }

/* The pointer that a row of the table of accesses stands for. */
static LLVMValueRef access_pointer(const vj_gen *g, LLVMValueRef row, LLVMValueRef image, LLVMValueRef slot) {
    LLVMValueRef index = word(g, row, ACCESS_INDEX);
    LLVMValueRef base = load_pointer(g, vj_bytes_on(g, LLVMGetParam(g->function, ARGS), word(g, row, ACCESS_MEMBER)));
    LLVMBasicBlockRef here = LLVMGetInsertBlock(g->b);
    LLVMBasicBlockRef list = LLVMAppendBasicBlockInContext(g->context, g->function, "list");
    LLVMBasicBlockRef found = LLVMAppendBasicBlockInContext(g->context, g->function, "found");
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, index, vj_i64(g, 0), ""), found, list);
    LLVMPositionBuilderAtEnd(g->b, list);
    LLVMValueRef listed = load_pointer(g, LLVMBuildGEP2(g->b, g->ptr, base, &index, 1, ""));
    LLVMBuildBr(g->b, found);
    LLVMPositionBuilderAtEnd(g->b, found);
    LLVMValueRef at = LLVMBuildPhi(g->b, g->ptr, "");
    LLVMAddIncoming(at, (LLVMValueRef[]){base, listed}, (LLVMBasicBlockRef[]){here, list}, 2);
    at = vj_bytes_on(g, at, word(g, row, ACCESS_OFFSET));
    at = vj_bytes_on(g, at, mul(g, image, word(g, row, ACCESS_IMAGE)));
    return vj_bytes_on(g, at, mul(g, slot, word(g, row, ACCESS_SLOT)));
}

static LLVMValueRef choose(const vj_gen *g, LLVMIntPredicate how, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, how, a, b, ""), a, b, "");
}

static LLVMValueRef kernel_address(const driver *d, LLVMValueRef number) {
    const vj_gen *g = &d->g;
    if (g->target->machine->format == VJ_FORMAT_WASM)
        return load_pointer(g, LLVMBuildGEP2(g->b, g->ptr, d->address, &number, 1, ""));
    LLVMValueRef distance = LLVMBuildLoad2(g->b, g->i32, vj_element(g, d->address, VJ_I32, number), "");
    return vj_bytes_on(g, d->address, LLVMBuildSExt(g->b, distance, g->i64, ""));
}

/* Units [from, to) of kernel `number` over all images: unit u of image r has the number r * units + u. */
static void emit_images(const driver *d, LLVMValueRef number, LLVMValueRef pointers, LLVMValueRef units,
                        LLVMValueRef from, LLVMValueRef to) {
    vj_gen g = d->g;
    LLVMValueRef kernel = row_at(&g, d->kernels, number, KERNEL_WORDS);
    LLVMValueRef first = word(&g, kernel, KERNEL_FIRST), last = word(&g, kernel, KERNEL_LAST);
    LLVMValueRef function = kernel_address(d, number);
    LLVMValueRef end = divide(&g, add(&g, to, sub(&g, units, vj_i64(&g, 1))), units);
    vj_loop images, accesses;
    vj_loop_begin(&g, &images, divide(&g, from, units), end, 1, false, NULL, 0);
    LLVMValueRef image = add(&g, LLVMGetParam(g.function, FIRST), images.index);
    LLVMValueRef slot = add(&g, LLVMGetParam(g.function, SLOT), images.index);
    vj_loop_begin(&g, &accesses, first, last, 1, false, NULL, 0);
    LLVMValueRef row = row_at(&g, d->accesses, accesses.index, ACCESS_WORDS), at = sub(&g, accesses.index, first);
    LLVMBuildStore(g.b, access_pointer(&g, row, image, slot), LLVMBuildGEP2(g.b, g.ptr, pointers, &at, 1, ""));
    vj_loop_end(&g, &accesses, NULL);
    LLVMValueRef before = mul(&g, images.index, units);
    LLVMValueRef argument[] = {pointers, choose(&g, LLVMIntSGT, sub(&g, from, before), vj_i64(&g, 0)),
                               choose(&g, LLVMIntSLT, sub(&g, to, before), units)};
    LLVMTypeRef type =
        LLVMFunctionType(LLVMVoidTypeInContext(g.context), (LLVMTypeRef[]){g.ptr, g.i64, g.i64}, 3, false);
    LLVMBuildCall2(g.b, type, function, argument, 3, "");
    vj_loop_end(&g, &images, NULL);
}

/* Tells the caller's mark that a share of a kernel begins (begun 0, units 0) or has ended; what it returns. */
static LLVMValueRef mark(const vj_gen *g, LLVMValueRef kernel, LLVMValueRef begun, LLVMValueRef units) {
    LLVMValueRef args = LLVMGetParam(g->function, ARGS);
    LLVMTypeRef parameters[] = {g->ptr, g->i32, g->i64, g->i64};
    LLVMTypeRef type = LLVMFunctionType(g->i64, parameters, 4, false);
    LLVMValueRef self = load_pointer(g, vj_bytes_on(g, args, vj_i64(g, offsetof(vj_marked_args, self))));
    LLVMValueRef function = load_pointer(g, vj_bytes_on(g, args, vj_i64(g, offsetof(vj_marked_args, mark))));
    LLVMValueRef argument[] = {self, LLVMBuildTrunc(g->b, kernel, g->i32, ""), begun, units};
    return LLVMBuildCall2(g->b, type, function, argument, 4, "");
}

/* The part's share of each kernel of a run, one after another. */
static void emit_share(driver *d) {
    vj_gen *g = &d->g;
    LLVMTypeRef parameters[SHARE_PARAMETERS] = {g->ptr};
    for (int32_t i = ARGS + 1; i < SHARE_PARAMETERS; i++)
        parameters[i] = g->i64;
    begin_function(d, "share", parameters, SHARE_PARAMETERS);
    LLVMSetLinkage(g->function, LLVMInternalLinkage);
    LLVMValueRef pointers = vj_stack(g, VJ_I64, VJ_MAX_ACCESSES), one = vj_i64(g, 1);
    LLVMValueRef part = LLVMGetParam(g->function, PART), parts = LLVMGetParam(g->function, PARTS);
    vj_loop run;
    vj_loop_begin(g, &run, LLVMGetParam(g->function, RUN_FIRST), LLVMGetParam(g->function, RUN_LAST), 1, false, NULL,
                  0);
    LLVMValueRef units = word(g, row_at(g, d->kernels, run.index, KERNEL_WORDS), KERNEL_UNITS);
    LLVMValueRef all = mul(g, LLVMGetParam(g->function, IMAGES), units);
    LLVMValueRef from = divide(g, mul(g, all, part), parts), to = divide(g, mul(g, all, add(g, part, one)), parts);
    LLVMValueRef zero = vj_i64(g, 0), begun = d->marks ? mark(g, run.index, zero, zero) : NULL;
    emit_images(d, run.index, pointers, units, from, to);
    if (d->marks) mark(g, run.index, begun, sub(g, to, from));
    vj_loop_end(g, &run, NULL);
    LLVMBuildRetVoid(g->b);
    d->share = g->function;
}

/* `rest` are the parameters from RUN_FIRST on. */
static void call_share(const driver *d, LLVMValueRef const rest[SHARE_PARAMETERS - RUN_FIRST]) {
    const vj_gen *g = &d->g;
    LLVMValueRef argument[SHARE_PARAMETERS] = {LLVMGetParam(g->function, 0)};
    memcpy(argument + RUN_FIRST, rest, (SHARE_PARAMETERS - RUN_FIRST) * sizeof *rest);
    LLVMBuildCall2(g->b, LLVMGlobalGetValueType(d->share), d->share, argument, SHARE_PARAMETERS, "");
}

/* Whole images: as many for each part, in order. */
static void emit_whole_images(driver *d, LLVMValueRef each, LLVMValueRef part) {
    vj_gen *g = &d->g;
    LLVMValueRef first = mul(g, each, part), zero = vj_i64(g, 0), one = vj_i64(g, 1);
    vj_loop loop;
    vj_loop_begin(g, &loop, first, add(g, first, each), 1, false, NULL, 0);
    call_share(d, (LLVMValueRef[]){zero, vj_i64(g, g->p->kernel_count), loop.index, one, part, zero, one});
    vj_loop_end(g, &loop, NULL);
}

static void emit_dispatch(driver *d, const char *name) {
    vj_gen *g = &d->g;
    begin_function(d, name, (LLVMTypeRef[]){g->ptr, g->i32, g->i32, g->i32}, 4);
    LLVMValueRef phase = LLVMBuildSExt(g->b, LLVMGetParam(g->function, 1), g->i64, "");
    LLVMValueRef part = LLVMBuildSExt(g->b, LLVMGetParam(g->function, 2), g->i64, "");
    LLVMValueRef parts = LLVMBuildSExt(g->b, LLVMGetParam(g->function, 3), g->i64, "");
    LLVMValueRef args = LLVMGetParam(g->function, 0), offset = vj_i64(g, member(g, offsetof(vj_args, n)));
    LLVMValueRef n = LLVMBuildLoad2(g->b, g->i64, vj_bytes_on(g, args, offset), "");
    LLVMValueRef each = divide(g, n, parts), done = mul(g, each, parts), left = sub(g, n, done);
    LLVMBasicBlockRef whole = LLVMAppendBasicBlockInContext(g->context, g->function, "whole");
    LLVMBasicBlockRef other = LLVMAppendBasicBlockInContext(g->context, g->function, "other");
    LLVMBasicBlockRef one_phase = LLVMAppendBasicBlockInContext(g->context, g->function, "phase");
    LLVMBasicBlockRef end = LLVMAppendBasicBlockInContext(g->context, g->function, "end");
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntEQ, phase, vj_i64(g, 0), ""), whole, other);
    LLVMPositionBuilderAtEnd(g->b, whole);
    emit_whole_images(d, each, part);
    LLVMBuildBr(g->b, end);
    LLVMPositionBuilderAtEnd(g->b, other);
    LLVMValueRef number = sub(g, phase, vj_i64(g, 1));
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntULT, number, vj_i64(g, g->p->phase_count), ""), one_phase, end);
    LLVMPositionBuilderAtEnd(g->b, one_phase);
    LLVMValueRef row = row_at(g, d->phases, number, PHASE_WORDS);
    call_share(d, (LLVMValueRef[]){word(g, row, PHASE_FIRST), word(g, row, PHASE_LAST), done, left, vj_i64(g, 0), part,
                                   parts});
    LLVMBuildBr(g->b, end);
    LLVMPositionBuilderAtEnd(g->b, end);
    LLVMBuildRetVoid(g->b);
}

LLVMValueRef vj_gen_phase(LLVMModuleRef module, const vj_target *target, const vj_program *p,
                          LLVMValueRef const *kernels, int64_t scratch_fixed, bool marks, const char *name,
                          vj_error *error) {
    LLVMContextRef context = LLVMGetModuleContext(module);
    driver d = {.g = {.context = context,
                      .module = module,
                      .target = target,
                      .p = p,
                      .error = error,
                      .i1 = LLVMInt1TypeInContext(context),
                      .i8 = LLVMInt8TypeInContext(context),
                      .i32 = LLVMInt32TypeInContext(context),
                      .i64 = LLVMInt64TypeInContext(context),
                      .f32 = LLVMFloatTypeInContext(context),
                      .f64 = LLVMDoubleTypeInContext(context),
                      .ptr = LLVMPointerTypeInContext(context, 0)},
                .functions = kernels,
                .scratch_fixed = scratch_fixed,
                .marks = marks};
    d.g.b = LLVMCreateBuilderInContext(context);
    if (add_tables(&d)) {
        emit_share(&d);
        emit_dispatch(&d, name);
    } else {
        vj_fail(error, VJ_SYSTEM, "out of memory to generate code");
    }
    LLVMDisposeBuilder(d.g.b);
    return d.g.function;
}
