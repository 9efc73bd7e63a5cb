/* SPDX-License-Identifier: Apache-2.0 */
/* harness.c - runs single kernels. A kernel's function takes a pointer for each access. An adapter in the same module
 * takes them as an array, so that C can call any kernel. */
#include "harness.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/BitWriter.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/emit/gen.h"
#include "backend/module/object.h"
#include "needs.h"

typedef void (*kernel_entry)(void *const *accesses, int64_t first, int64_t last);

struct code {
    const vj_program *p;
    const vj_kernel *k;
    LLVMOrcLLJITRef jit;
    kernel_entry entry;
};

static void die(const char *what) {
    fprintf(stderr, "harness: %s\n", what);
    abort();
}

static LLVMTargetMachineRef machine_of(const vj_target *target) {
    vj_error error = {0};
    LLVMTargetMachineRef machine = vj_machine_new(target, &error);
    if (!machine) die(error.text);
    return machine;
}

static LLVMModuleRef generate(LLVMContextRef context, LLVMTargetMachineRef machine, const vj_target *target,
                              const vj_program *p, const vj_kernel *k) {
    LLVMModuleRef module = LLVMModuleCreateWithNameInContext("kernel", context);
    LLVMSetTarget(module, target->triple);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetModuleDataLayout(module, layout);
    LLVMDisposeTargetData(layout);
    vj_error error = {0};
    vj_gen_kernel(module, target, p, k, "entry", &error);
    if (error.status != VJ_OK) die(error.text);
    char *message = NULL;
    if (LLVMVerifyModule(module, LLVMReturnStatusAction, &message)) die(message);
    LLVMDisposeMessage(message);
    return module;
}

static LLVMMemoryBufferRef emit(const vj_target *target, const vj_program *p, const vj_kernel *k,
                                LLVMCodeGenFileType what) {
    LLVMContextRef context = LLVMContextCreate();
    LLVMTargetMachineRef machine = machine_of(target);
    LLVMModuleRef module = generate(context, machine, target, p, k);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef failure = LLVMRunPasses(module, VJ_KERNEL_PASSES, machine, options);
    if (failure) die(LLVMGetErrorMessage(failure));
    LLVMDisposePassBuilderOptions(options);
    LLVMMemoryBufferRef out = NULL;
    char *message = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, what, &message, &out)) die(message);
    LLVMDisposeTargetMachine(machine);
    LLVMDisposeModule(module);
    LLVMContextDispose(context);
    return out;
}

static void drop_attribute(LLVMValueRef function, const char *name) {
    LLVMRemoveStringAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, name,
                                     (unsigned)strlen(name));
}

code_source code_generate(const vj_target *target, const vj_program *p, const vj_kernel *k) {
    LLVMContextRef context = LLVMContextCreate();
    LLVMTargetMachineRef machine = machine_of(target);
    LLVMModuleRef module = generate(context, machine, target, p, k);
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
        drop_attribute(f, "target-cpu");
        drop_attribute(f, "target-features");
    }
    LLVMMemoryBufferRef bits = LLVMWriteBitcodeToMemoryBuffer(module);
    code_source source = {.size = LLVMGetBufferSize(bits), .units = k->units};
    source.bytes = malloc(source.size);
    if (!source.bytes) die("no memory");
    memcpy(source.bytes, LLVMGetBufferStart(bits), source.size);
    LLVMDisposeMemoryBuffer(bits);
    LLVMDisposeTargetMachine(machine);
    LLVMDisposeModule(module);
    LLVMContextDispose(context);
    return source;
}

bool code_same(const code_source *a, const code_source *b) {
    return a->units == b->units && a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

void code_source_free(code_source *source) {
    free(source->bytes);
    source->bytes = NULL;
}

/* Checks that a kernel's object defines all its symbols. */
static void refuse_undefined(const vj_target *target, LLVMMemoryBufferRef object) {
    char name[200];
    if (!object_needs(LLVMGetBufferStart(object), LLVMGetBufferSize(object), name, sizeof name)) return;
    fprintf(stderr, "harness: %s: undefined symbol '%s'\n", target->name, name);
    abort();
}

void code_refusal(const vj_target *target, const vj_program *p, const vj_kernel *k, vj_error *error) {
    LLVMContextRef context = LLVMContextCreate();
    LLVMModuleRef module = LLVMModuleCreateWithNameInContext("kernel", context);
    *error = (vj_error){0};
    vj_gen_kernel(module, target, p, k, "entry", error);
    if (error->status == VJ_OK) die("code for what should be refused");
    LLVMDisposeModule(module);
    LLVMContextDispose(context);
}

void code_check(const vj_target *target, const vj_program *p, const vj_kernel *k) {
    LLVMMemoryBufferRef object = emit(target, p, k, LLVMObjectFile);
    refuse_undefined(target, object);
    LLVMDisposeMemoryBuffer(object);
}

char *code_assembly(const vj_target *target, const vj_program *p, const vj_kernel *k) {
    LLVMMemoryBufferRef text = emit(target, p, k, LLVMAssemblyFile);
    char *copy = strndup(LLVMGetBufferStart(text), LLVMGetBufferSize(text));
    LLVMDisposeMemoryBuffer(text);
    return copy;
}

code *code_make(const vj_target *target, const vj_program *p, const vj_kernel *k) {
    LLVMMemoryBufferRef object = emit(target, p, k, LLVMObjectFile);
    refuse_undefined(target, object);
    code *c = calloc(1, sizeof *c);
    c->p = p;
    c->k = k;
    LLVMErrorRef error = LLVMOrcCreateLLJIT(&c->jit, NULL);
    if (!error) error = LLVMOrcLLJITAddObjectFile(c->jit, LLVMOrcLLJITGetMainJITDylib(c->jit), object);
    LLVMOrcExecutorAddress address = 0;
    if (!error) error = LLVMOrcLLJITLookup(c->jit, &address, "entry");
    if (error) die(LLVMGetErrorMessage(error));
    c->entry = (kernel_entry)(uintptr_t)address; /* NOLINT: code from an address */
    return c;
}

void code_free(code *c) {
    LLVMErrorRef error = LLVMOrcDisposeLLJIT(c->jit);
    if (error) die(LLVMGetErrorMessage(error));
    free(c);
}

void code_run(const code *c, void *const *buffers, int64_t first, int64_t last) {
    void *accesses[VJ_MAX_ACCESSES];
    for (int32_t i = 0; i < c->k->access_count; i++) {
        const vj_access *access = &c->k->access[i];
        const int64_t size = vj_element_bytes(c->p->buffers[access->buffer].dtype);
        accesses[i] = (void *)((uintptr_t)buffers[access->buffer] + (uintptr_t)(access->offset * size));
    }
    c->entry(accesses, first, last);
}

guarded guarded_new(size_t bytes, int at_end) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (bytes + page - 1) / page * page;
    guarded g = {.map_bytes = body + 2 * page};
    g.map = mmap(NULL, g.map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g.map == MAP_FAILED) die("no memory");
    uint8_t *start = (uint8_t *)g.map + page;
    if (body && mprotect(start, body, PROT_READ | PROT_WRITE)) die("mprotect");
    g.at = at_end ? start + (body - bytes) : start;
    return g;
}

void guarded_free(guarded *g) { munmap(g->map, g->map_bytes); }

uint32_t rng_next(rng *r) {
    /* PCG-XSH-RR, O'Neill 2014 */
    const uint64_t old = r->state;
    r->state = old * 6364136223846793005ULL + 1442695040888963407ULL;
    const uint32_t word = (uint32_t)(((old >> 18) ^ old) >> 27), turn = (uint32_t)(old >> 59);
    return word >> turn | word << (-turn & 31);
}

float rng_float(rng *r, float low, float high) { return low + (high - low) * ((float)(rng_next(r) >> 8) * 0x1p-24f); }
