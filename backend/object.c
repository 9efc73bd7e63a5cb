/* object.c - a planned program becomes an object: kernels generated once each, the driver, passes, code generation.
 *
 * Kernels that differ only in names, buffers and offsets are one function: their descriptions, everything that the
 * generators read, are compared byte by byte.
 */
#include <llvm-c/Analysis.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

/* Short and fixed: the generators write what they mean. Named in a text, instcombine aborts unless it is told not to
 * insist on a fixpoint. LLVM's own pipelines unroll and spill micro-kernels. */
#define PASSES "function(instcombine<no-verify-fixpoint>,simplifycfg,early-cse,loop-mssa(licm))"

void vj_bytes_free(vj_bytes *bytes) {
    free(bytes->at);
    *bytes = (vj_bytes){0};
}

const char *vj_llvm_version(void) {
    static _Thread_local char text[32];
    unsigned major, minor, patch;
    LLVMGetVersion(&major, &minor, &patch);
    snprintf(text, sizeof text, "%u.%u.%u", major, minor, patch);
    return text;
}

/* Descriptions of kernels */

typedef struct description {
    vj_arena *arena;
    uint8_t *at;
    size_t size, capacity;
} description;

static void describe(description *d, const void *bytes, size_t size) {
    if (d->capacity - d->size < size) {
        const size_t room = 2 * d->capacity + size + 1024;
        uint8_t *at = vj_alloc(d->arena, room);
        if (d->size) memcpy(at, d->at, d->size);
        d->at = at;
        d->capacity = room;
    }
    memcpy(d->at + d->size, bytes, size);
    d->size += size;
}

static void describe_int(description *d, int64_t x) { describe(d, &x, sizeof x); }

static void describe_access(description *d, const vj_program *p, const vj_kernel *k, const vj_access *access) {
    const vj_buffer *buffer = &p->buffers[access->buffer];
    const size_t row = (size_t)k->rank * sizeof(int64_t);
    describe_int(d, buffer->dtype);
    describe_int(d, buffer->kind == VJ_BUFFER_WEIGHT ? (int64_t)p->weights[buffer->index].kind + 1 : 0);
    describe(d, access->stride, row);
    describe(d, &access->otherwise, sizeof access->otherwise);
    describe_int(d, access->term_count);
    for (int32_t t = 0; t < access->term_count; t++) {
        const vj_term *term = &access->terms[t];
        describe_int(d, term->kind);
        describe_int(d, term->stride);
        describe_int(d, term->extent);
        describe_int(d, term->constant);
        describe(d, term->coef, row);
    }
}

static void describe_exprs(description *d, const vj_kernel *k) {
    describe_int(d, k->expr_count);
    for (int32_t i = 0; i < k->expr_count; i++) {
        const vj_expr *e = &k->expr[i];
        describe_int(d, e->op);
        describe_int(d, e->dtype);
        for (int32_t a = 0; a < vj_xop_args(e->op); a++)
            describe_int(d, e->arg[a]);
        describe_int(d, e->index);
        describe(d, &e->imm, sizeof e->imm);
    }
    describe_int(d, k->stage_count);
    for (int32_t i = 0; i < k->stage_count; i++) {
        describe_int(d, k->stage[i].reduce);
        describe_int(d, k->stage[i].expr);
    }
    describe_int(d, k->out_count);
    for (int32_t i = 0; i < k->out_count; i++) {
        describe_int(d, k->out[i].access);
        describe_int(d, k->out[i].expr);
        describe_int(d, k->out[i].segment);
    }
}

static description describe_kernel(vj_arena *arena, const vj_program *p, const vj_kernel *k) {
    description d = {.arena = arena};
    const int32_t numbers[] = {(int32_t)k->kind,
                               k->rank,
                               k->row_axes,
                               k->col_axes,
                               k->depth_axes,
                               k->batch_axes,
                               k->a,
                               k->b,
                               k->q,
                               k->k,
                               k->v,
                               k->score_expr,
                               k->access_count};
    describe(&d, numbers, sizeof numbers);
    describe(&d, k->extent, (size_t)k->rank * sizeof *k->extent);
    for (int32_t i = 0; i < k->access_count; i++)
        describe_access(&d, p, k, &k->access[i]);
    describe_exprs(&d, k);
    if (k->schedule) describe(&d, k->schedule, sizeof *k->schedule);
    describe_int(&d, k->units);
    return d;
}

/* Machines and modules */

static void initialise_llvm(void) {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser(); /* the CPU check is inline assembly */
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeAArch64AsmParser();
}

/* The machine is the architecture's baseline: each kernel names its own CPU and features. */
static LLVMTargetMachineRef machine_of(const vj_target *target, vj_error *error) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, initialise_llvm);
    LLVMTargetRef t;
    char *message = NULL;
    if (LLVMGetTargetFromTriple(target->triple, &t, &message)) {
        vj_fail(error, VJ_UNSUPPORTED, "target %s: %s", target->name, message);
        LLVMDisposeMessage(message);
        return NULL;
    }
    const bool x86 = strncmp(target->triple, "x86_64", 6) == 0;
    return LLVMCreateTargetMachine(t, target->triple, x86 ? "x86-64" : "generic", "", LLVMCodeGenLevelAggressive,
                                   LLVMRelocPIC, LLVMCodeModelSmall);
}

static void kernel_name(const vj_kernel *k, int32_t number, char *name, size_t size) {
    static const char *const kinds[] = {
        [VJ_KERNEL_GEMM] = "gemm", [VJ_KERNEL_ATTENTION] = "attention", [VJ_KERNEL_NEST] = "nest"};
    int at = snprintf(name, size, "vj_%s", kinds[k->kind]);
    for (int32_t i = 0; i < k->rank && at > 0 && (size_t)at < size; i++)
        at += snprintf(name + at, size - (size_t)at, "%s%lld", i ? "x" : "_", (long long)k->extent[i]);
    if (at > 0 && (size_t)at < size) snprintf(name + at, size - (size_t)at, "__%d", (int)number);
}

static LLVMValueRef *generate_kernels(LLVMModuleRef module, const vj_codegen_options *options, const vj_program *p,
                                      vj_codegen_stats *stats, vj_error *error) {
    LLVMValueRef *functions = VJ_NEW_ARRAY(p->arena, LLVMValueRef, p->kernel_count + 1);
    description *seen = VJ_NEW_ARRAY(p->arena, description, p->kernel_count + 1);
    for (int32_t i = 0; i < p->kernel_count && error->status == VJ_OK; i++) {
        seen[i] = describe_kernel(p->arena, p, p->kernels[i]);
        for (int32_t j = 0; j < i && !functions[i]; j++)
            if (seen[j].size == seen[i].size && memcmp(seen[j].at, seen[i].at, seen[i].size) == 0)
                functions[i] = functions[j];
        if (functions[i]) continue;
        char name[192];
        kernel_name(p->kernels[i], stats->distinct_kernels++, name, sizeof name);
        functions[i] = vj_gen_kernel(module, options->target, p, p->kernels[i], name, error);
        /* Local to the object, so that models link together. */
        LLVMSetLinkage(functions[i], LLVMInternalLinkage);
        LLVMSetVisibility(functions[i], LLVMDefaultVisibility);
    }
    stats->kernels = p->kernel_count;
    return functions;
}

static bool copy_out(const char *from, size_t size, vj_bytes *out, vj_error *error) {
    out->at = malloc(size ? size : 1);
    if (!out->at) {
        vj_fail(error, VJ_SYSTEM, "no memory for %zu bytes of code", size);
        return false;
    }
    memcpy(out->at, from, size);
    out->size = size;
    return true;
}

static void sanitize(LLVMModuleRef module, const vj_codegen_options *options) {
    const char *name = options->sanitize_address ? "sanitize_address" : "sanitize_thread";
    if (!options->sanitize_address && !options->sanitize_thread) return;
    LLVMContextRef context = LLVMGetModuleContext(module);
    LLVMAttributeRef attribute =
        LLVMCreateEnumAttribute(context, LLVMGetEnumAttributeKindForName(name, strlen(name)), 0);
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f))
        if (!LLVMIsDeclaration(f))
            LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attribute);
}

static bool optimise(LLVMModuleRef module, LLVMTargetMachineRef machine, const vj_codegen_options *options,
                     vj_error *error) {
    const char *passes = options->sanitize_address  ? PASSES ",asan"
                         : options->sanitize_thread ? PASSES ",tsan-module,function(tsan)"
                                                    : PASSES;
    LLVMPassBuilderOptionsRef settings = LLVMCreatePassBuilderOptions();
    LLVMErrorRef failure = LLVMRunPasses(module, passes, machine, settings);
    LLVMDisposePassBuilderOptions(settings);
    if (!failure) return true;
    char *message = LLVMGetErrorMessage(failure);
    vj_fail(error, VJ_SYSTEM, "LLVM's passes: %s", message);
    LLVMDisposeErrorMessage(message);
    return false;
}

static void write_code(LLVMModuleRef module, LLVMTargetMachineRef machine, vj_emit_kind kind, vj_bytes *out,
                       vj_error *error) {
    if (kind == VJ_EMIT_LLVM) {
        char *text = LLVMPrintModuleToString(module);
        copy_out(text, strlen(text), out, error);
        LLVMDisposeMessage(text);
        return;
    }
    const LLVMCodeGenFileType type = kind == VJ_EMIT_ASSEMBLY ? LLVMAssemblyFile : LLVMObjectFile;
    LLVMMemoryBufferRef buffer = NULL;
    char *message = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, type, &message, &buffer)) {
        vj_fail(error, VJ_SYSTEM, "code generation: %s", message);
        LLVMDisposeMessage(message);
        return;
    }
    copy_out(LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer), out, error);
    LLVMDisposeMemoryBuffer(buffer);
}

static void generate(LLVMModuleRef module, LLVMTargetMachineRef machine, const vj_program *p,
                     const vj_codegen_options *options, vj_bytes *out, vj_codegen_stats *stats, vj_error *error) {
    LLVMSetTarget(module, options->target->triple);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetModuleDataLayout(module, layout);
    LLVMDisposeTargetData(layout);
    LLVMValueRef *kernels = generate_kernels(module, options, p, stats, error);
    if (error->status != VJ_OK) return;
    const vj_object_abi *abi = options->abi;
    const char *name = abi ? vj_sprintf(p->arena, "%s_phase", abi->prefix) : "vj_phase";
    vj_gen_phase(module, options->target, p, kernels, abi ? abi->model->scratch_fixed : 0, name, error);
    if (abi) vj_gen_abi(module, options->target, abi, error);
    if (error->status != VJ_OK) return;
    sanitize(module, options);
    char *message = NULL;
    if (LLVMVerifyModule(module, LLVMReturnStatusAction, &message))
        vj_fail(error, VJ_SYSTEM, "the generated code is not sound: %s", message);
    LLVMDisposeMessage(message);
    if (error->status == VJ_OK && optimise(module, machine, options, error))
        write_code(module, machine, options->kind, out, error);
}

vj_status vj_generate(const vj_program *p, const vj_codegen_options *options, vj_bytes *out, vj_codegen_stats *stats,
                      vj_error *error) {
    *out = (vj_bytes){0};
    *stats = (vj_codegen_stats){0};
    LLVMTargetMachineRef machine = machine_of(options->target, error);
    if (!machine) return error->status;
    LLVMContextRef context = LLVMContextCreate();
    LLVMModuleRef module = LLVMModuleCreateWithNameInContext("vitjit", context);
    generate(module, machine, p, options, out, stats, error);
    LLVMDisposeModule(module);
    LLVMContextDispose(context);
    LLVMDisposeTargetMachine(machine);
    return error->status;
}
