/* SPDX-License-Identifier: Apache-2.0 */
/* driver_abi.c - what an emitted object has around its variants' phases: the descriptors as constants, and the functions of
 * abi/, which get the object's prefix.
 *
 * The types of vitjit_model.h's structs come from abi/types.c, as the machine's compiler lays them out: a constant here that
 * is not of such a type is refused.
 */
#include <llvm-c/Linker.h>
#include <llvm-c/Target.h>
#include <string.h>

#include "backend/emit/bitcode.h"
#include "driver.h"

VJ_BITCODE_FILE(abi_types);
VJ_BITCODE_FILE(abi_init);
VJ_BITCODE_FILE(abi_run);
VJ_BITCODE_FILE(abi_threads);

static const vj_bitcode types_file[VJ_BITCODE_MACHINES] = VJ_BITCODE_ROWS(abi_types);
static const vj_bitcode code_files[][VJ_BITCODE_MACHINES] = {VJ_BITCODE_ROWS(abi_init), VJ_BITCODE_ROWS(abi_run),
                                                             VJ_BITCODE_ROWS(abi_threads)};

typedef struct abi_types {
    LLVMTypeRef model, tensor, cpu, context, args, threads;
} abi_types;

typedef struct abi_gen {
    LLVMContextRef context;
    LLVMModuleRef module;
    const vj_object_abi *abi;
    const vj_target *target; /* one of the machine's */
    abi_types types;
    LLVMTypeRef i8, i32, i64, ptr;
    vj_error *error;
} abi_gen;

static LLVMTypeRef type_of(LLVMModuleRef module, const char *name) {
    return LLVMGlobalGetValueType(LLVMGetNamedGlobal(module, name));
}

static abi_types types_of(LLVMModuleRef module) {
    return (abi_types){type_of(module, "vj_abi_type_model"), type_of(module, "vj_abi_type_tensor"),
                       type_of(module, "vj_abi_type_cpu"),   type_of(module, "vj_abi_type_context"),
                       type_of(module, "vj_abi_type_args"),  type_of(module, "vj_abi_type_threads")};
}

vj_abi_layout vj_abi_layout_of(const vj_target *target) {
    LLVMContextRef context = LLVMContextCreate();
    LLVMModuleRef module = vj_bitcode_module(context, types_file, target);
    vj_abi_layout layout = {0};
    if (module) {
        LLVMTargetDataRef data = LLVMGetModuleDataLayout(module);
        const abi_types t = types_of(module);
#define BYTES(type) (int32_t)LLVMABISizeOfType(data, t.type)
        layout = (vj_abi_layout){BYTES(model), BYTES(tensor), BYTES(cpu), BYTES(context), BYTES(args), BYTES(threads)};
#undef BYTES
        LLVMDisposeModule(module);
    }
    LLVMContextDispose(context);
    return layout;
}

/* Constants */

static LLVMValueRef i32(const abi_gen *g, int64_t x) { return LLVMConstInt(g->i32, (unsigned long long)x, true); }
static LLVMValueRef i64(const abi_gen *g, int64_t x) { return LLVMConstInt(g->i64, (unsigned long long)x, true); }
static LLVMValueRef pair(const abi_gen *g, const uint64_t x[2]) {
    return LLVMConstArray2(g->i64, (LLVMValueRef[]){i64(g, (int64_t)x[0]), i64(g, (int64_t)x[1])}, 2);
}

/* A constant of the object; without a value yet when it is NULL. */
static LLVMValueRef add_global(const abi_gen *g, const char *name, LLVMTypeRef type, LLVMValueRef value) {
    LLVMValueRef global = LLVMAddGlobal(g->module, type, name);
    LLVMSetGlobalConstant(global, true);
    if (value) LLVMSetInitializer(global, value);
    return global;
}

static LLVMValueRef add_array(const abi_gen *g, const char *name, LLVMTypeRef type, LLVMValueRef *values,
                              int32_t count) {
    LLVMValueRef array = LLVMConstArray2(type, values, (uint64_t)count);
    return add_global(g, name, LLVMTypeOf(array), array);
}

static LLVMValueRef add_bytes(const abi_gen *g, const char *name, const void *bytes, size_t size) {
    LLVMValueRef data = LLVMConstStringInContext2(g->context, bytes, size, true);
    LLVMValueRef global = add_global(g, name, LLVMTypeOf(data), data);
    LLVMSetLinkage(global, LLVMInternalLinkage);
    return global;
}

static LLVMValueRef add_string(const abi_gen *g, const char *text) {
    LLVMValueRef global = add_bytes(g, "text", text ? text : "", strlen(text ? text : "") + 1);
    LLVMSetUnnamedAddress(global, LLVMGlobalUnnamedAddr);
    return global;
}

static LLVMValueRef make_struct(const abi_gen *g, LLVMTypeRef type, LLVMValueRef *values, unsigned count) {
    bool right = LLVMCountStructElementTypes(type) == count;
    for (unsigned i = 0; right && i < count; i++)
        right = LLVMStructGetTypeAtIndex(type, i) == LLVMTypeOf(values[i]);
    if (right) return LLVMConstNamedStruct(type, values, count);
    vj_fail(g->error, VJ_SYSTEM, "the descriptor is not laid out as vitjit_model.h says");
    return LLVMConstNull(type);
}
#define STRUCT(g, type, values) make_struct(g, type, values, sizeof values / sizeof *values)

/* Descriptors */

static LLVMValueRef tensor_of(const abi_gen *g, const vj_tensor_info *t) {
    LLVMValueRef dims[VJ_MODEL_MAX_RANK];
    for (int32_t d = 0; d < VJ_MODEL_MAX_RANK; d++)
        dims[d] = i64(g, d < t->rank ? t->dims[d] : 0);
    LLVMValueRef values[] = {add_string(g, t->name),
                             i32(g, t->dtype),
                             i32(g, t->rank),
                             LLVMConstArray2(g->i64, dims, VJ_MODEL_MAX_RANK),
                             i64(g, t->bytes_per_image),
                             i64(g, t->dims_output)};
    return STRUCT(g, g->types.tensor, values);
}

static LLVMValueRef add_tensors(const abi_gen *g, vj_arena *arena, const char *name, const vj_tensor_info *tensors,
                                int32_t count) {
    LLVMValueRef *values = VJ_NEW_ARRAY(arena, LLVMValueRef, count + 1);
    for (int32_t i = 0; i < count; i++)
        values[i] = tensor_of(g, &tensors[i]);
    return add_array(g, name, g->types.tensor, values, count);
}

static LLVMValueRef add_cpus(const abi_gen *g, vj_arena *arena) {
    const int32_t count = g->abi->cpu_count;
    LLVMValueRef *cpus = VJ_NEW_ARRAY(arena, LLVMValueRef, count);
    for (int32_t i = 0; i < count; i++) {
        const vj_target *target = g->abi->variants[i].target;
        LLVMValueRef values[] = {add_string(g, target->name), i64(g, (int64_t)target->cpu_feature_bits),
                                 i32(g, target->rank), i32(g, 0)};
        cpus[i] = STRUCT(g, g->types.cpu, values);
    }
    return add_array(g, "vj_abi_cpus", g->types.cpu, cpus, count);
}

static LLVMValueRef model_of(const abi_gen *g, vj_arena *arena, const vj_model *m, LLVMValueRef cpus,
                             LLVMValueRef shapes, int64_t bytes) {
    LLVMValueRef values[] = {i32(g, VJ_MODEL_ABI),
                             i32(g, bytes),
                             add_string(g, m->name),
                             add_string(g, m->compiler),
                             add_string(g, m->cpu),
                             pair(g, m->hash),
                             i32(g, m->input_count),
                             i32(g, m->output_count),
                             add_tensors(g, arena, "vj_abi_inputs", m->inputs, m->input_count),
                             add_tensors(g, arena, "vj_abi_outputs", m->outputs, m->output_count),
                             i64(g, m->weights_bytes),
                             i64(g, m->weights_alignment),
                             i64(g, m->scratch_fixed),
                             i64(g, m->scratch_per_image),
                             i64(g, m->max_batch),
                             i32(g, m->phase_count),
                             i32(g, g->abi->cpu_count),
                             cpus,
                             shapes,
                             i32(g, g->abi->shape_count),
                             i32(g, 0),
                             pair(g, m->weights_digest)};
    return STRUCT(g, g->types.model, values);
}

static void add_descriptors(const abi_gen *g, vj_arena *arena) {
    const int32_t count = g->abi->shape_count;
    LLVMValueRef *models = VJ_NEW_ARRAY(arena, LLVMValueRef, count), cpus = add_cpus(g, arena);
    LLVMValueRef shapes = add_global(g, "vj_abi_shapes", LLVMArrayType2(g->types.model, (uint64_t)count), NULL);
    const int64_t bytes = (int64_t)LLVMABISizeOfType(LLVMGetModuleDataLayout(g->module), g->types.model);
    for (int32_t i = 0; i < count; i++)
        models[i] = model_of(g, arena, &g->abi->shapes[i], cpus, shapes, bytes);
    LLVMSetInitializer(shapes, LLVMConstArray2(g->types.model, models, (uint64_t)count));
}

/* What inputs must be, and the phases of the variants. */
static void add_tables(const abi_gen *g, vj_arena *arena) {
    const vj_object_abi *abi = g->abi;
    const int32_t variants = abi->shape_count * abi->cpu_count;
    LLVMValueRef *lists = VJ_NEW_ARRAY(arena, LLVMValueRef, abi->shape_count);
    LLVMValueRef *phases = VJ_NEW_ARRAY(arena, LLVMValueRef, variants), null = LLVMConstNull(g->ptr);
    for (int32_t s = 0; s < abi->shape_count; s++) {
        const vj_model *m = &abi->shapes[s];
        LLVMValueRef *values = VJ_NEW_ARRAY(arena, LLVMValueRef, m->input_count + 1);
        for (int32_t i = 0; i < m->input_count; i++) {
            const uint8_t *value = abi->required ? abi->required[s][i] : NULL;
            values[i] = value ? add_bytes(g, "vj_abi_value", value, (size_t)m->inputs[i].bytes_per_image) : null;
        }
        lists[s] = add_array(g, "vj_abi_values", g->ptr, values, m->input_count);
    }
    add_array(g, "vj_abi_required", g->ptr, lists, abi->shape_count);
    for (int32_t i = 0; i < variants; i++)
        phases[i] = LLVMGetNamedFunction(g->module, vj_sprintf(arena, VJ_VARIANT_PHASE, (int)i));
    add_array(g, "vj_abi_phases", g->ptr, phases, variants);
}

static void add_weights(const abi_gen *g) {
    LLVMValueRef inside = LLVMConstNull(g->ptr);
    if (g->abi->weights) {
        inside = add_bytes(g, VJ_INSIDE_WEIGHTS, g->abi->weights, (size_t)g->abi->shapes->weights_bytes);
        LLVMSetAlignment(inside, VJ_ALIGN);
    }
    add_global(g, "vj_abi_weights", g->ptr, inside);
}

/* Functions */

static void link_code(const abi_gen *g) {
    for (size_t i = 0; i < sizeof code_files / sizeof *code_files; i++) {
        LLVMModuleRef part = vj_bitcode_module(g->context, code_files[i], g->target);
        if (!part) {
            vj_fail(g->error, VJ_UNSUPPORTED, "no objects can be written for %s", g->target->triple);
            return;
        }
        LLVMSetTarget(part, LLVMGetTarget(g->module));
        LLVMSetDataLayout(part, LLVMGetDataLayoutStr(g->module));
        if (LLVMLinkModules2(g->module, part)) vj_fail(g->error, VJ_SYSTEM, "the object's functions do not link");
    }
}

static void hide(LLVMValueRef value) {
    if (LLVMIsDeclaration(value) || LLVMGetLinkage(value) != LLVMExternalLinkage) return;
    LLVMSetVisibility(value, LLVMDefaultVisibility);
    LLVMSetLinkage(value, LLVMInternalLinkage);
}

/* The prefix for those of the interface; all else becomes local. */
static void name_functions(const abi_gen *g, vj_arena *arena) {
    static const char *const interface[] = {"model", "init", "init_as", "run", "run_on", "phase"};
    enum { COUNT = sizeof interface / sizeof *interface };
    LLVMValueRef function[COUNT];
    for (int32_t i = 0; i < COUNT; i++)
        function[i] = LLVMGetNamedFunction(g->module, vj_sprintf(arena, "vj_abi_%s", interface[i]));
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f; f = LLVMGetNextFunction(f))
        hide(f);
    for (LLVMValueRef v = LLVMGetFirstGlobal(g->module); v; v = LLVMGetNextGlobal(v))
        hide(v);
    for (int32_t i = 0; i < COUNT; i++) {
        const char *name = vj_sprintf(arena, "%s_%s", g->abi->prefix, interface[i]);
        LLVMValueRef other = LLVMGetNamedFunction(g->module, name);
        if (other && other != function[i]) LLVMSetValueName2(other, "local", strlen("local"));
        LLVMSetValueName2(function[i], name, strlen(name));
        LLVMSetLinkage(function[i], LLVMExternalLinkage);
    }
}

void vj_gen_abi(LLVMModuleRef module, const vj_object_abi *abi, vj_error *error) {
    LLVMContextRef context = LLVMGetModuleContext(module);
    abi_gen g = {.context = context,
                 .module = module,
                 .abi = abi,
                 .target = abi->variants->target,
                 .i8 = LLVMInt8TypeInContext(context),
                 .i32 = LLVMInt32TypeInContext(context),
                 .i64 = LLVMInt64TypeInContext(context),
                 .ptr = LLVMPointerTypeInContext(context, 0),
                 .error = error};
    LLVMModuleRef types = vj_bitcode_module(context, types_file, g.target);
    if (!types) {
        vj_fail(error, VJ_UNSUPPORTED, "no objects can be written for %s", g.target->triple);
        return;
    }
    g.types = types_of(types);
    LLVMDisposeModule(types);
    vj_arena *arena = vj_arena_scratch(abi->variants->program->arena);
    add_descriptors(&g, arena);
    add_tables(&g, arena);
    add_weights(&g);
    if (error->status == VJ_OK) link_code(&g);
    if (error->status == VJ_OK) name_functions(&g, arena);
    vj_arena_free(arena);
}
