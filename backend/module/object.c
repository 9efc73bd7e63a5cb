/* SPDX-License-Identifier: Apache-2.0 */
/* object.c - modules, and how they become object code. */
#include <llvm-c/Analysis.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "object.h"

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
    LLVMInitializeRISCVTargetInfo();
    LLVMInitializeRISCVTarget();
    LLVMInitializeRISCVTargetMC();
    LLVMInitializeRISCVAsmPrinter();
    LLVMInitializeRISCVAsmParser();
    LLVMInitializeWebAssemblyTargetInfo();
    LLVMInitializeWebAssemblyTarget();
    LLVMInitializeWebAssemblyTargetMC();
    LLVMInitializeWebAssemblyAsmPrinter();
    LLVMInitializeWebAssemblyAsmParser();
}

LLVMTargetMachineRef vj_machine_new(const vj_target *target, vj_error *error) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, initialise_llvm);
    LLVMTargetRef t;
    char *message = NULL;
    if (LLVMGetTargetFromTriple(target->triple, &t, &message)) {
        vj_fail(error, VJ_UNSUPPORTED, "target %s: %s", target->name, message);
        LLVMDisposeMessage(message);
        return NULL;
    }
    const vj_machine *machine = target->machine;
    LLVMTargetMachineOptionsRef options = LLVMCreateTargetMachineOptions();
    LLVMTargetMachineOptionsSetCPU(options, machine->llvm_cpu);
    LLVMTargetMachineOptionsSetFeatures(options, machine->llvm_features);
    LLVMTargetMachineOptionsSetABI(options, machine->llvm_abi);
    LLVMTargetMachineOptionsSetCodeGenOptLevel(options, LLVMCodeGenLevelAggressive);
    LLVMTargetMachineOptionsSetCodeModel(options, LLVMCodeModelSmall);
    /* A wasm module that is no shared library has its addresses fixed. */
    LLVMTargetMachineOptionsSetRelocMode(options, machine->format == VJ_FORMAT_WASM ? LLVMRelocStatic : LLVMRelocPIC);
    LLVMTargetMachineRef made = LLVMCreateTargetMachineWithOptions(t, machine->triple, options);
    LLVMDisposeTargetMachineOptions(options);
    return made;
}

static bool copy_out(const char *from, size_t size, vj_bytes *out, vj_error *error) {
    out->at = malloc(size ? size : 1);
    if (!out->at) {
        vj_fail(error, VJ_SYSTEM, "out of memory for %zu bytes of code", size);
        return false;
    }
    memcpy(out->at, from, size);
    out->size = size;
    return true;
}

/* Checks as calls instead of code in place: the same accesses are checked, and the code is generated in half the time. */
static void check_by_calls(void) {
    static const char *const arguments[] = {"vitjit", "-asan-instrumentation-with-call-threshold=0"};
    LLVMParseCommandLineOptions(2, arguments, NULL);
}

static void sanitize(LLVMModuleRef module, const vj_codegen_options *options) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const char *name = options->sanitize_address ? "sanitize_address" : "sanitize_thread";
    if (!options->sanitize_address && !options->sanitize_thread) return;
    pthread_once(&once, check_by_calls);
    LLVMContextRef context = LLVMGetModuleContext(module);
    LLVMAttributeRef attribute =
        LLVMCreateEnumAttribute(context, LLVMGetEnumAttributeKindForName(name, strlen(name)), 0);
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f))
        if (!LLVMIsDeclaration(f))
            LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attribute);
}

static bool optimise(LLVMModuleRef module, LLVMTargetMachineRef machine, const vj_codegen_options *options,
                     vj_error *error) {
    const char *passes = options->sanitize_address  ? VJ_KERNEL_PASSES ",asan"
                         : options->sanitize_thread ? VJ_KERNEL_PASSES ",tsan-module,function(tsan)"
                                                    : VJ_KERNEL_PASSES;
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

LLVMModuleRef vj_module_in(LLVMContextRef context, LLVMTargetMachineRef machine, const vj_target *target) {
    LLVMModuleRef module = LLVMModuleCreateWithNameInContext("vitjit", context);
    LLVMSetTarget(module, target->triple);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetModuleDataLayout(module, layout);
    LLVMDisposeTargetData(layout);
    return module;
}

LLVMModuleRef vj_module_new(LLVMTargetMachineRef machine, const vj_target *target) {
    return vj_module_in(LLVMContextCreate(), machine, target);
}

void vj_module_free(LLVMModuleRef module) {
    LLVMContextRef context = LLVMGetModuleContext(module);
    LLVMDisposeModule(module);
    LLVMContextDispose(context);
}

typedef struct module_work {
    LLVMTargetMachineRef machine;
    LLVMModuleRef module;
    void (*work)(LLVMModuleRef module, LLVMTargetMachineRef machine, void *self);
    void *self;
} module_work;

static void work_on_module(void *self) {
    const module_work *w = self;
    w->work(w->module, w->machine, w->self);
}

vj_status vj_with_module(vj_arena *arena, const vj_target *target,
                         void (*work)(LLVMModuleRef module, LLVMTargetMachineRef machine, void *self), void *self,
                         vj_error *error) {
    module_work w = {.machine = vj_machine_new(target, error), .work = work, .self = self};
    if (!w.machine) return error->status;
    w.module = vj_module_new(w.machine, target);
    const bool had_memory = vj_arena_try(arena, work_on_module, &w);
    vj_module_free(w.module);
    LLVMDisposeTargetMachine(w.machine);
    if (!had_memory) vj_out_of_memory(arena);
    return error->status;
}

void vj_module_write(LLVMModuleRef module, LLVMTargetMachineRef machine, const vj_codegen_options *options,
                     vj_bytes *out, vj_error *error) {
    if (error->status != VJ_OK) return;
    sanitize(module, options);
    char *message = NULL;
    if (LLVMVerifyModule(module, LLVMReturnStatusAction, &message))
        vj_fail(error, VJ_SYSTEM, "the generated code is not sound: %s", message);
    LLVMDisposeMessage(message);
    if (error->status == VJ_OK && optimise(module, machine, options, error))
        write_code(module, machine, options->kind, out, error);
}
