/* driver.c - the model's driver: void phase(const vj_args *, phase, part, parts), as vitjit_image.h says.
 *
 * Each phase of the plan is a function over some images: `images` of them from number `first` on, on scratch slots from
 * `slot` on; the units of all of them are one range of numbers, of which part `part` of `parts` does its share. Phase 0
 * calls all of these for one image after another as part 0 of 1; phases 1.. call one of them for the images left over.
 */
#include "driver.h"

#include "vitjit_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST = 1, IMAGES, SLOT, PART, PARTS, SHARE_PARAMETERS }; /* of a phase's function; 0: the arguments */

typedef struct driver {
    vj_gen g;
    LLVMValueRef const *kernels;
    int64_t scratch_fixed;
    bool marks;
    LLVMTypeRef share_type;
} driver;

static LLVMValueRef mul(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildNSWMul(g->b, a, b, ""); }
static LLVMValueRef add(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildNSWAdd(g->b, a, b, ""); }
static LLVMValueRef sub(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildNSWSub(g->b, a, b, ""); }
static LLVMValueRef divide(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildUDiv(g->b, a, b, ""); }

static LLVMValueRef bytes_on(const vj_gen *g, LLVMValueRef pointer, LLVMValueRef bytes) {
    return LLVMBuildGEP2(g->b, g->i8, pointer, &bytes, 1, "");
}

/* A member of vj_args. */
static LLVMValueRef member(const vj_gen *g, LLVMValueRef args, size_t offset, LLVMTypeRef type) {
    return LLVMBuildLoad2(g->b, type, bytes_on(g, args, vj_i64(g, (int64_t)offset)), "");
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

/* Where access `number` of kernel k is at when all axes are 0, for an image. */
static LLVMValueRef access_pointer(const driver *d, const vj_kernel *k, int32_t number, LLVMValueRef image,
                                   LLVMValueRef slot) {
    const vj_gen *g = &d->g;
    const vj_access *access = &k->access[number];
    const vj_buffer *buffer = &g->p->buffers[access->buffer];
    LLVMValueRef args = LLVMGetParam(g->function, 0), at;
    const int64_t size = vj_element_bytes(buffer->dtype);
    int64_t offset = access->offset * size;
    switch (buffer->kind) {
    case VJ_BUFFER_ARENA:
        at = member(g, args, offsetof(vj_args, scratch), g->ptr);
        at = bytes_on(g, at, mul(g, slot, vj_i64(g, g->p->per_image_bytes)));
        offset += d->scratch_fixed + buffer->offset;
        break;
    case VJ_BUFFER_WEIGHT:
        at = member(g, args, offsetof(vj_args, weights), g->ptr);
        /* Panels are always read from their start. */
        if (k->kind == VJ_KERNEL_GEMM && number == k->b && g->p->weights[buffer->index].kind == VJ_PACK_PANELS)
            offset = 0;
        offset += buffer->offset;
        break;
    default: {
        const bool input = buffer->kind == VJ_BUFFER_INPUT;
        at = member(g, args, input ? offsetof(vj_args, inputs) : offsetof(vj_args, outputs), g->ptr);
        at = member(g, at, (size_t)buffer->index * sizeof(void *), g->ptr);
        if (grows_with_batch(g->p, buffer)) at = bytes_on(g, at, mul(g, image, vj_i64(g, buffer->elements * size)));
        break;
    }
    }
    return offset == 0 ? at : bytes_on(g, at, vj_i64(g, offset));
}

static LLVMValueRef choose(const vj_gen *g, LLVMIntPredicate how, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, how, a, b, ""), a, b, "");
}

/* Tells the caller's mark that a share of a kernel begins (begun 0, units 0) or has ended; what it returns. */
static LLVMValueRef mark(const driver *d, int32_t kernel, LLVMValueRef begun, LLVMValueRef units) {
    const vj_gen *g = &d->g;
    LLVMValueRef args = LLVMGetParam(g->function, 0), self = member(g, args, offsetof(vj_marked_args, self), g->ptr);
    LLVMTypeRef parameters[] = {g->ptr, g->i32, g->i64, g->i64};
    LLVMValueRef argument[] = {self, LLVMConstInt(g->i32, (unsigned)kernel, false), begun, units};
    return LLVMBuildCall2(g->b, LLVMFunctionType(g->i64, parameters, 4, false),
                          member(g, args, offsetof(vj_marked_args, mark), g->ptr), argument, 4, "");
}

/* The part's share of one kernel's units over all images: unit u of image r is number r * units + u. */
static void emit_kernel(driver *d, int32_t number) {
    vj_gen *g = &d->g;
    const vj_kernel *k = g->p->kernels[number];
    LLVMValueRef images = LLVMGetParam(g->function, IMAGES), part = LLVMGetParam(g->function, PART);
    LLVMValueRef parts = LLVMGetParam(g->function, PARTS), units = vj_i64(g, vj_max64(1, k->units));
    LLVMValueRef all = mul(g, images, units), one = vj_i64(g, 1);
    LLVMValueRef from = divide(g, mul(g, all, part), parts), to = divide(g, mul(g, all, add(g, part, one)), parts);
    LLVMValueRef last = divide(g, add(g, to, vj_i64(g, vj_max64(1, k->units) - 1)), units);
    LLVMValueRef begun = d->marks ? mark(d, number, vj_i64(g, 0), vj_i64(g, 0)) : NULL;
    vj_loop loop;
    vj_loop_begin(g, &loop, divide(g, from, units), last, 1, false, NULL, 0);
    LLVMValueRef before = mul(g, loop.index, units);
    LLVMValueRef image = add(g, LLVMGetParam(g->function, FIRST), loop.index);
    LLVMValueRef slot = add(g, LLVMGetParam(g->function, SLOT), loop.index);
    LLVMValueRef argument[VJ_MAX_ACCESSES + 2];
    for (int32_t i = 0; i < k->access_count; i++)
        argument[i] = access_pointer(d, k, i, image, slot);
    argument[k->access_count] = choose(g, LLVMIntSGT, sub(g, from, before), vj_i64(g, 0));
    argument[k->access_count + 1] = choose(g, LLVMIntSLT, sub(g, to, before), units);
    LLVMBuildCall2(g->b, LLVMGlobalGetValueType(d->kernels[number]), d->kernels[number], argument,
                   (unsigned)k->access_count + 2, "");
    vj_loop_end(g, &loop, NULL);
    if (d->marks) mark(d, number, begun, sub(g, to, from));
}

static void begin_function(driver *d, const char *name, LLVMTypeRef type) {
    vj_gen *g = &d->g;
    g->function = LLVMAddFunction(g->module, name, type);
    const unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", strlen("nounwind"));
    LLVMAddAttributeAtIndex(g->function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(g->context, nounwind, 0));
    LLVMPositionBuilderAtEnd(g->b, LLVMAppendBasicBlockInContext(g->context, g->function, "entry"));
}

static LLVMValueRef emit_share(driver *d, int32_t number) {
    vj_gen *g = &d->g;
    const vj_phase *phase = &g->p->phases[number];
    char name[32];
    snprintf(name, sizeof name, "phase_%d", (int)number + 1);
    begin_function(d, name, d->share_type);
    LLVMSetLinkage(g->function, LLVMInternalLinkage);
    for (int32_t i = 0; i < phase->count; i++)
        emit_kernel(d, phase->first + i);
    LLVMBuildRetVoid(g->b);
    return g->function;
}

static void call_share(const driver *d, LLVMValueRef share, LLVMValueRef first, LLVMValueRef images, LLVMValueRef slot,
                       LLVMValueRef part, LLVMValueRef parts) {
    const vj_gen *g = &d->g;
    LLVMValueRef argument[SHARE_PARAMETERS] = {LLVMGetParam(g->function, 0), first, images, slot, part, parts};
    LLVMBuildCall2(g->b, d->share_type, share, argument, SHARE_PARAMETERS, "");
}

/* Whole images: as many for each part, in order. */
static void emit_whole_images(driver *d, LLVMValueRef const *shares, LLVMValueRef each, LLVMValueRef part) {
    vj_gen *g = &d->g;
    LLVMValueRef first = mul(g, each, part), zero = vj_i64(g, 0), one = vj_i64(g, 1);
    vj_loop loop;
    vj_loop_begin(g, &loop, first, add(g, first, each), 1, false, NULL, 0);
    for (int32_t i = 0; i < g->p->phase_count; i++)
        call_share(d, shares[i], loop.index, one, part, zero, one);
    vj_loop_end(g, &loop, NULL);
}

static void emit_dispatch(driver *d, const char *name, LLVMValueRef const *shares) {
    vj_gen *g = &d->g;
    LLVMTypeRef parameters[4] = {g->ptr, g->i32, g->i32, g->i32};
    begin_function(d, name, LLVMFunctionType(LLVMVoidTypeInContext(g->context), parameters, 4, false));
    LLVMValueRef part = LLVMBuildSExt(g->b, LLVMGetParam(g->function, 2), g->i64, "");
    LLVMValueRef parts = LLVMBuildSExt(g->b, LLVMGetParam(g->function, 3), g->i64, "");
    LLVMValueRef n = member(g, LLVMGetParam(g->function, 0), offsetof(vj_args, n), g->i64);
    LLVMValueRef each = divide(g, n, parts), done = mul(g, each, parts), left = sub(g, n, done);
    LLVMBasicBlockRef end = LLVMAppendBasicBlockInContext(g->context, g->function, "end");
    LLVMBasicBlockRef whole = LLVMAppendBasicBlockInContext(g->context, g->function, "whole");
    LLVMValueRef choice = LLVMBuildSwitch(g->b, LLVMGetParam(g->function, 1), end, (unsigned)g->p->phase_count + 1);
    LLVMAddCase(choice, LLVMConstInt(g->i32, 0, false), whole);
    LLVMPositionBuilderAtEnd(g->b, whole);
    emit_whole_images(d, shares, each, part);
    LLVMBuildBr(g->b, end);
    for (int32_t i = 0; i < g->p->phase_count; i++) {
        LLVMBasicBlockRef block = LLVMAppendBasicBlockInContext(g->context, g->function, "phase");
        LLVMAddCase(choice, LLVMConstInt(g->i32, (unsigned)i + 1, false), block);
        LLVMPositionBuilderAtEnd(g->b, block);
        call_share(d, shares[i], done, left, vj_i64(g, 0), part, parts);
        LLVMBuildBr(g->b, end);
    }
    LLVMPositionBuilderAtEnd(g->b, end);
    LLVMBuildRetVoid(g->b);
}

LLVMValueRef vj_gen_phase(LLVMModuleRef module, const vj_target *target, const vj_program *p,
                          LLVMValueRef const *kernels, int64_t scratch_fixed, bool marks, const char *name,
                          vj_error *error) {
    LLVMContextRef context = LLVMGetModuleContext(module);
    driver state = {.g = {.context = context,
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
                    .kernels = kernels,
                    .scratch_fixed = scratch_fixed,
                    .marks = marks};
    driver *d = &state;
    d->g.b = LLVMCreateBuilderInContext(context);
    LLVMTypeRef parameters[SHARE_PARAMETERS] = {d->g.ptr};
    for (int32_t i = FIRST; i < SHARE_PARAMETERS; i++)
        parameters[i] = d->g.i64;
    d->share_type = LLVMFunctionType(LLVMVoidTypeInContext(context), parameters, SHARE_PARAMETERS, false);
    LLVMValueRef *shares = calloc((size_t)p->phase_count + 1, sizeof *shares);
    if (!shares) {
        vj_fail(error, VJ_SYSTEM, "no memory to generate code");
        LLVMDisposeBuilder(d->g.b);
        return NULL;
    }
    for (int32_t i = 0; i < p->phase_count; i++)
        shares[i] = emit_share(d, i);
    emit_dispatch(d, name, shares);
    free(shares);
    LLVMDisposeBuilder(d->g.b);
    return d->g.function;
}
