/* driver_abi.c - what an emitted object adds to its phase function: the descriptor, init, run and run_on.
 *
 * They are written as LLVM's text with a few words to fill in, compiled for the architecture's baseline CPU, and know
 * vitjit_model.h's structs, which the assertions below pin. Checks come before any vector code: init
 * looks at the CPU, and run accepts no context that init did not fill.
 */
#include <assert.h>
#include <llvm-c/IRReader.h>
#include <llvm-c/Linker.h>
#include <string.h>

#include "driver.h"
#include "vitjit_image.h"

static_assert(sizeof(vj_tensor_info) == 96 && offsetof(vj_tensor_info, bytes_per_image) == 80, "tensor info");
static_assert(sizeof(vj_model) == 136 && offsetof(vj_model, inputs) == 56 && offsetof(vj_model, weights_digest) == 120,
              "model");
static_assert(sizeof(vj_context) == 32 && offsetof(vj_context, weights) == 8, "context");
static_assert(sizeof(vj_args) == 40 && offsetof(vj_args, n) == 32, "args");
static_assert(sizeof(vj_threads) == 32 && offsetof(vj_threads, run) == 16 && offsetof(vj_threads, barrier) == 24,
              "threads");

const vj_abi_layout *vj_abi_layout_of(const vj_target *target) {
    static const vj_abi_layout wide = {sizeof(vj_model), sizeof(vj_tensor_info), sizeof(vj_context), sizeof(vj_args),
                                       sizeof(vj_threads)};
    static const vj_abi_layout narrow = {120, 96, 24, 24, 16};
    return target->machine->pointer_bytes == 8 ? &wide : &narrow;
}

/* The structs of vitjit_model.h; LLVM lays them out as C does. */
static const char types_text[] = "%tensor = type { ptr, i32, i32, [8 x i64], i64, i64 }\n"
                                 "%model = type { i32, i32, ptr, ptr, ptr, [2 x i64], i32, i32, ptr, ptr, i64, i64, "
                                 "i64, i64, i64, i32, i32, [2 x i64] }\n"
                                 "%args = type { ptr, ptr, ptr, ptr, i64 }\n"
                                 "%context = type { ptr, ptr, [2 x i64] }\n"
                                 "%threads = type { ptr, i32, ptr, ptr }\n";

static_assert(offsetof(vj_weights_header, digest) == 8 && offsetof(vj_weights_header, bytes) == 24, "weights header");

/* Words in the text: $ is the prefix, {name} a value of the table. */
typedef struct word {
    const char *name, *value;
} word;

static void fill(vj_text *out, const char *template, const char *prefix, const word *words, int32_t count) {
    for (const char *at = template; *at; at++) {
        if (*at == '$') {
            vj_text_add(out, "%s", prefix);
            continue;
        }
        int32_t i = 0;
        const char *end = *at == '{' ? strchr(at, '}') : NULL;
        const size_t length = end ? (size_t)(end - at - 1) : 0;
        while (end && i < count && (strlen(words[i].name) != length || memcmp(words[i].name, at + 1, length) != 0))
            i++;
        if (!end || i == count) {
            vj_text_add(out, "%c", *at);
        } else {
            vj_text_add(out, "%s", words[i].value);
            at = end;
        }
    }
}

/* Descriptor */

/* A string constant @name. */
static void add_string(vj_text *out, const char *name, const char *value) {
    vj_text_add(out, "@%s = private unnamed_addr constant [%zu x i8] c\"", name, strlen(value) + 1);
    for (const char *at = value; *at; at++)
        vj_text_add(out, "\\%02X", (unsigned)(unsigned char)*at);
    vj_text_add(out, "\\00\"\n");
}

static void add_tensors(vj_text *out, const char *name, const vj_tensor_info *tensors, int32_t count) {
    for (int32_t i = 0; i < count; i++)
        add_string(out, vj_sprintf(out->arena, "%s_name_%d", name, (int)i), tensors[i].name ? tensors[i].name : "");
    vj_text_add(out, "@%s = internal constant [%d x %%tensor] [", name, (int)count);
    for (int32_t i = 0; i < count; i++) {
        const vj_tensor_info *t = &tensors[i];
        vj_text_add(out, "%s%%tensor { ptr @%s_name_%d, i32 %d, i32 %d, [8 x i64] [", i ? ", " : "", name, (int)i,
                    (int)t->dtype, (int)t->rank);
        for (int32_t d = 0; d < VJ_MODEL_MAX_RANK; d++)
            vj_text_add(out, "%si64 %lld", d ? ", " : "", (long long)(d < t->rank ? t->dims[d] : 0));
        vj_text_add(out, "], i64 %lld, i64 %lld }", (long long)t->bytes_per_image, (long long)t->dims_output);
    }
    vj_text_add(out, "]\n");
    /* An address that a tensor's may share no bit with. */
    vj_text_add(out, "@%s_low = internal constant [%d x i64] [", name, (int)count);
    for (int32_t i = 0; i < count; i++)
        vj_text_add(out, "%si64 %lld", i ? ", " : "", (long long)vj_element_bytes((vj_dtype)tensors[i].dtype) - 1);
    vj_text_add(out, "]\n");
}

static void add_descriptor(vj_text *out, const vj_target *target, const vj_model *m) {
    vj_text_add(out, "%s", types_text);
    add_string(out, "name", m->name ? m->name : "");
    add_string(out, "compiler", m->compiler ? m->compiler : "");
    add_string(out, "cpu", m->cpu ? m->cpu : target->name);
    add_tensors(out, "inputs", m->inputs, m->input_count);
    add_tensors(out, "outputs", m->outputs, m->output_count);
    vj_text_add(out,
                "@model = internal constant %%model { i32 %u, i32 %d, ptr @name, ptr @compiler, ptr @cpu, "
                "[2 x i64] [i64 %llu, i64 %llu], i32 %d, i32 %d, ptr @inputs, ptr @outputs, i64 %lld, i64 %lld, "
                "i64 %lld, i64 %lld, i64 %lld, i32 %d, i32 %u, [2 x i64] [i64 %llu, i64 %llu] }\n",
                (unsigned)VJ_MODEL_ABI, (int)vj_abi_layout_of(target)->model, (unsigned long long)m->hash[0],
                (unsigned long long)m->hash[1], (int)m->input_count, (int)m->output_count, (long long)m->weights_bytes,
                (long long)m->weights_alignment, (long long)m->scratch_fixed, (long long)m->scratch_per_image,
                (long long)m->max_batch, (int)m->phase_count, (unsigned)target->cpu_feature_bits,
                (unsigned long long)m->weights_digest[0], (unsigned long long)m->weights_digest[1]);
}

/* The CPU check: the features that target.c asks of the machine it compiles on, by cpuid and xgetbv. */

static const char no_cpu_check[] = "define internal i1 @cpu_is_good() #0 {\n"
                                   "  ret i1 true\n"
                                   "}\n";

/* Leaf 1 ecx, leaf 0x80000001 ecx and leaf 7 ebx must have all bits of the masks, XCR0 those of `saved`. xgetbv is there
 * when leaf 1 says OSXSAVE; a CPU of before AVX has neither leaf 7 nor XCR0, and a target of then asks nothing of them. */
static const char x86_cpu_check[] = "define internal i1 @cpu_is_good() #0 {\n"
                                    "  %t = call { i32, i32, i32, i32 } asm sideeffect \"cpuid\", "
                                    "\"={ax},={bx},={cx},={dx},{ax},{cx}\"(i32 0, i32 0)\n"
                                    "  %top = extractvalue { i32, i32, i32, i32 } %t, 0\n"
                                    "  %c = call { i32, i32, i32, i32 } asm sideeffect \"cpuid\", "
                                    "\"={ax},={bx},={cx},={dx},{ax},{cx}\"(i32 -2147483647, i32 0)\n"
                                    "  %cc = extractvalue { i32, i32, i32, i32 } %c, 2\n"
                                    "  %cm = and i32 %cc, {more}\n"
                                    "  %cg = icmp eq i32 %cm, {more}\n"
                                    "  %a = call { i32, i32, i32, i32 } asm sideeffect \"cpuid\", "
                                    "\"={ax},={bx},={cx},={dx},{ax},{cx}\"(i32 1, i32 0)\n"
                                    "  %ac = extractvalue { i32, i32, i32, i32 } %a, 2\n"
                                    "  %am = and i32 %ac, {leaf1}\n"
                                    "  %ag = icmp eq i32 %am, {leaf1}\n"
                                    "  %old = and i1 %cg, %ag\n"
                                    "  %modern = icmp ne i32 {saved}, 0\n"
                                    "  %new = icmp uge i32 %top, 7\n"
                                    "  %both = and i1 %old, %new\n"
                                    "  %look = and i1 %both, %modern\n"
                                    "  br i1 %look, label %two, label %over\n"
                                    "two:\n"
                                    "  %x = call { i32, i32 } asm sideeffect \"xgetbv\", \"={ax},={dx},{cx}\"(i32 0)\n"
                                    "  %xl = extractvalue { i32, i32 } %x, 0\n"
                                    "  %xm = and i32 %xl, {saved}\n"
                                    "  %xg = icmp eq i32 %xm, {saved}\n"
                                    "  %b = call { i32, i32, i32, i32 } asm sideeffect \"cpuid\", "
                                    "\"={ax},={bx},={cx},={dx},{ax},{cx}\"(i32 7, i32 0)\n"
                                    "  %bb = extractvalue { i32, i32, i32, i32 } %b, 1\n"
                                    "  %bm = and i32 %bb, {leaf7}\n"
                                    "  %bg = icmp eq i32 %bm, {leaf7}\n"
                                    "  %xb = and i1 %xg, %bg\n"
                                    "  ret i1 %xb\n"
                                    "over:\n"
                                    "  %plain = xor i1 %modern, true\n"
                                    "  %all = and i1 %old, %plain\n"
                                    "  ret i1 %all\n"
                                    "}\n";

/* What the levels of the psABI ask. */
typedef struct cpu_masks {
    uint32_t leaf1, leaf7, more, saved;
} cpu_masks;

/* SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT; FMA, MOVBE, OSXSAVE, AVX, F16C */
#define LEAF1_V2 ((1u << 0) | (1u << 9) | (1u << 13) | (1u << 19) | (1u << 20) | (1u << 23))
#define LEAF1_V3 (LEAF1_V2 | (1u << 12) | (1u << 22) | (1u << 27) | (1u << 28) | (1u << 29))
/* BMI1, AVX2, BMI2; AVX-512 F, DQ, CD, BW, VL */
#define LEAF7_V3 ((1u << 3) | (1u << 5) | (1u << 8))
#define LEAF7_V4 (LEAF7_V3 | (1u << 16) | (1u << 17) | (1u << 28) | (1u << 30) | (1u << 31))
/* LAHF; LZCNT */
#define MORE_V2 (1u << 0)
#define MORE_V3 (MORE_V2 | (1u << 5))
/* xmm and ymm; opmask and both halves of zmm */
#define SAVED_V3 0x6u
#define SAVED_V4 0xe6u

static const cpu_masks *masks_of(uint32_t bits) {
    static const cpu_masks v2 = {LEAF1_V2, 0, MORE_V2, 0}, v3 = {LEAF1_V3, LEAF7_V3, MORE_V3, SAVED_V3},
                           v4 = {LEAF1_V3, LEAF7_V4, MORE_V3, SAVED_V4};
    return bits & VJ_CPU_AVX512 ? &v4 : bits & VJ_CPU_AVX2_FMA ? &v3 : &v2;
}

/* Linux's riscv_hwprobe (system call 258, since 6.4) says V by bit 2 of key 4; a kernel that does not know it, by bit 21 of
 * AT_HWCAP, entry 16 of /proc/self/auxv. */
static const char riscv_cpu_check[] =
    "@auxv = private unnamed_addr constant [16 x i8] c\"/proc/self/auxv\\00\"\n"
    "define internal i64 @system_call(i64 %number, i64 %a, i64 %b, i64 %c, i64 %d) #0 {\n"
    "  %r = call i64 asm sideeffect \"ecall\", \"={x10},{x17},0,{x11},{x12},{x13},{x14},~{memory}\""
    "(i64 %number, i64 %a, i64 %b, i64 %c, i64 %d, i64 0)\n"
    "  ret i64 %r\n"
    "}\n"
    "define internal i1 @cpu_is_good() #0 {\n"
    "  %pair = alloca [2 x i64], align 8\n"
    "  %value = getelementptr i64, ptr %pair, i64 1\n"
    "  %at = ptrtoint ptr %pair to i64\n"
    "  store i64 4, ptr %pair\n"
    "  store i64 0, ptr %value\n"
    "  %asked = call i64 @system_call(i64 258, i64 %at, i64 1, i64 0, i64 0)\n"
    "  %known = icmp eq i64 %asked, 0\n"
    "  br i1 %known, label %told, label %open\n"
    "told:\n"
    "  %probed = load volatile i64, ptr %value\n"
    "  %bit2 = and i64 %probed, 4\n"
    "  %good = icmp ne i64 %bit2, 0\n"
    "  ret i1 %good\n"
    "open:\n"
    "  %path = ptrtoint ptr @auxv to i64\n"
    "  %file = call i64 @system_call(i64 56, i64 -100, i64 %path, i64 0, i64 0)\n" /* openat */
    "  %opened = icmp sge i64 %file, 0\n"
    "  br i1 %opened, label %next, label %bad\n"
    "next:\n"
    "  %got = call i64 @system_call(i64 63, i64 %file, i64 %at, i64 16, i64 0)\n" /* read */
    "  %whole = icmp eq i64 %got, 16\n"
    "  br i1 %whole, label %entry, label %close\n"
    "entry:\n"
    "  %type = load volatile i64, ptr %pair\n"
    "  %is_hwcap = icmp eq i64 %type, 16\n"
    "  br i1 %is_hwcap, label %hwcap, label %next\n"
    "hwcap:\n"
    "  %caps = load volatile i64, ptr %value\n"
    "  br label %close\n"
    "close:\n"
    "  %found = phi i64 [ 0, %next ], [ %caps, %hwcap ]\n"
    "  %closed = call i64 @system_call(i64 57, i64 %file, i64 0, i64 0, i64 0)\n"
    "  %v = and i64 %found, 2097152\n"
    "  %has = icmp ne i64 %v, 0\n"
    "  ret i1 %has\n"
    "bad:\n"
    "  ret i1 false\n"
    "}\n";

static const char *cpu_check_of(uint32_t bits) {
    return bits == 0 ? no_cpu_check : bits & VJ_CPU_RVV ? riscv_cpu_check : x86_cpu_check;
}

/* init, run, run_on */

static const char run_text[] =
    "declare void @$_phase(ptr, i32, i32, i32)\n"
    "define ptr @$_model() #0 {\n"
    "  ret ptr @model\n"
    "}\n"
    /* Are the pointers of list all there, and aligned to their elements? */
    "define internal i1 @list_is_good(ptr %list, ptr %low, i32 %count) #0 {\n"
    "  %none = icmp eq i32 %count, 0\n"
    "  br i1 %none, label %good, label %look\n"
    "look:\n"
    "  %null = icmp eq ptr %list, null\n"
    "  br i1 %null, label %bad, label %next\n"
    "next:\n"
    "  %i = phi i32 [ 0, %look ], [ %j, %step ]\n"
    "  %pp = getelementptr ptr, ptr %list, i32 %i\n"
    "  %p = load ptr, ptr %pp\n"
    "  %lp = getelementptr i64, ptr %low, i32 %i\n"
    "  %l = load i64, ptr %lp\n"
    "  %a = ptrtoint ptr %p to i64\n"
    "  %m = and i64 %a, %l\n"
    "  %zero = icmp eq i64 %a, 0\n"
    "  %off = icmp ne i64 %m, 0\n"
    "  %wrong = or i1 %zero, %off\n"
    "  br i1 %wrong, label %bad, label %step\n"
    "step:\n"
    "  %j = add i32 %i, 1\n"
    "  %more = icmp slt i32 %j, %count\n"
    "  br i1 %more, label %next, label %good\n"
    "good:\n"
    "  ret i1 true\n"
    "bad:\n"
    "  ret i1 false\n"
    "}\n"
    /* Fills the arguments of a run, if they are sound. */
    "define internal i1 @args_are_good(ptr %context, i64 %n, ptr %inputs, ptr %outputs, ptr %scratch, ptr %args) #0 {\n"
    "  %null = icmp eq ptr %context, null\n"
    "  br i1 %null, label %bad, label %one\n"
    "one:\n"
    "  %m = load ptr, ptr %context\n"
    "  %mine = icmp eq ptr %m, @model\n"
    "  %low = icmp sge i64 %n, 1\n"
    "  %high = icmp sle i64 %n, {max_batch}\n"
    "  %range = and i1 %low, %high\n"
    "  %ok = and i1 %mine, %range\n"
    "  br i1 %ok, label %two, label %bad\n"
    "two:\n"
    "  %i = call i1 @list_is_good(ptr %inputs, ptr @inputs_low, i32 {input_count})\n"
    "  %o = call i1 @list_is_good(ptr %outputs, ptr @outputs_low, i32 {output_count})\n"
    "  %s = ptrtoint ptr %scratch to i64\n"
    "  %sl = and i64 %s, 63\n"
    "  %aligned = icmp eq i64 %sl, 0\n"
    "  %there = icmp ne i64 %s, 0\n"
    "  %enough = or i1 %there, {no_scratch}\n"
    "  %io = and i1 %i, %o\n"
    "  %sa = and i1 %aligned, %enough\n"
    "  %fine = and i1 %io, %sa\n"
    "  br i1 %fine, label %three, label %bad\n"
    "three:\n"
    "  %wp = getelementptr %context, ptr %context, i32 0, i32 1\n"
    "  %w = load ptr, ptr %wp\n"
    "  store ptr %inputs, ptr %args\n"
    "  %a1 = getelementptr %args, ptr %args, i32 0, i32 1\n"
    "  store ptr %outputs, ptr %a1\n"
    "  %a2 = getelementptr %args, ptr %args, i32 0, i32 2\n"
    "  store ptr %w, ptr %a2\n"
    "  %a3 = getelementptr %args, ptr %args, i32 0, i32 3\n"
    "  store ptr %scratch, ptr %a3\n"
    "  %a4 = getelementptr %args, ptr %args, i32 0, i32 4\n"
    "  store i64 %n, ptr %a4\n"
    "  ret i1 true\n"
    "bad:\n"
    "  ret i1 false\n"
    "}\n"
    "define i32 @$_run(ptr %context, i64 %n, ptr %inputs, ptr %outputs, ptr %scratch) #0 {\n"
    "  %args = alloca %args, align 8\n"
    "  %ok = call i1 @args_are_good(ptr %context, i64 %n, ptr %inputs, ptr %outputs, ptr %scratch, ptr %args)\n"
    "  br i1 %ok, label %values, label %bad\n"
    "values:\n"
    "  %same = call i1 @values_are_good(ptr %inputs)\n"
    "  br i1 %same, label %go, label %other\n"
    "other:\n"
    "  ret i32 4\n"
    "go:\n"
    "  call void @$_phase(ptr %args, i32 0, i32 0, i32 1)\n"
    "  ret i32 0\n"
    "bad:\n"
    "  ret i32 1\n"
    "}\n";

/* A job of threads: arguments, the phase or (with a barrier) the first one, the caller's threads. */
static const char threads_text[] =
    "%job = type { %args, i32, i32, ptr }\n"
    "define internal void @phase_alone(ptr %job, i32 %part) #0 {\n"
    "  %pp = getelementptr %job, ptr %job, i32 0, i32 1\n"
    "  %phase = load i32, ptr %pp\n"
    "  %np = getelementptr %job, ptr %job, i32 0, i32 2\n"
    "  %parts = load i32, ptr %np\n"
    "  call void @$_phase(ptr %job, i32 %phase, i32 %part, i32 %parts)\n"
    "  ret void\n"
    "}\n"
    "define internal void @all_phases(ptr %job, i32 %part) #0 {\n"
    "  %np = getelementptr %job, ptr %job, i32 0, i32 2\n"
    "  %parts = load i32, ptr %np\n"
    "  %fp = getelementptr %job, ptr %job, i32 0, i32 1\n"
    "  %first = load i32, ptr %fp\n"
    "  %tp = getelementptr %job, ptr %job, i32 0, i32 3\n"
    "  %threads = load ptr, ptr %tp\n"
    "  %self = load ptr, ptr %threads\n"
    "  %bp = getelementptr %threads, ptr %threads, i32 0, i32 3\n"
    "  %barrier = load ptr, ptr %bp\n"
    "  %n4 = getelementptr %args, ptr %job, i32 0, i32 4\n"
    "  %n = load i64, ptr %n4\n"
    "  %parts64 = sext i32 %parts to i64\n"
    "  %left = urem i64 %n, %parts64\n"
    "  %whole = icmp eq i64 %left, 0\n"
    "  %last = select i1 %whole, i32 0, i32 {phases}\n"
    "  br label %next\n"
    "next:\n"
    "  %phase = phi i32 [ %first, %0 ], [ %up, %wait ]\n"
    "  call void @$_phase(ptr %job, i32 %phase, i32 %part, i32 %parts)\n"
    "  %more = icmp slt i32 %phase, %last\n"
    "  br i1 %more, label %wait, label %end\n"
    "wait:\n"
    "  call void %barrier(ptr %self, i32 %part)\n"
    "  %up = add i32 %phase, 1\n"
    "  br label %next\n"
    "end:\n"
    "  ret void\n"
    "}\n"
    "define i32 @$_run_on(ptr %context, i64 %n, ptr %inputs, ptr %outputs, ptr %scratch, ptr %threads) #0 {\n"
    "  %job = alloca %job, align 8\n"
    "  %null = icmp eq ptr %threads, null\n"
    "  br i1 %null, label %bad, label %look\n"
    "look:\n"
    "  %self = load ptr, ptr %threads\n"
    "  %np = getelementptr %threads, ptr %threads, i32 0, i32 1\n"
    "  %parts = load i32, ptr %np\n"
    "  %rp = getelementptr %threads, ptr %threads, i32 0, i32 2\n"
    "  %run = load ptr, ptr %rp\n"
    "  %bp = getelementptr %threads, ptr %threads, i32 0, i32 3\n"
    "  %barrier = load ptr, ptr %bp\n"
    "  %there = icmp ne ptr %run, null\n"
    "  %some = icmp sge i32 %parts, 1\n"
    "  %sound = and i1 %there, %some\n"
    "  br i1 %sound, label %check, label %bad\n"
    "check:\n"
    "  %ok = call i1 @args_are_good(ptr %context, i64 %n, ptr %inputs, ptr %outputs, ptr %scratch, ptr %job)\n"
    "  br i1 %ok, label %values, label %bad\n"
    "values:\n"
    "  %same = call i1 @values_are_good(ptr %inputs)\n"
    "  br i1 %same, label %go, label %other\n"
    "other:\n"
    "  ret i32 4\n"
    "go:\n"
    "  %pp = getelementptr %job, ptr %job, i32 0, i32 1\n"
    "  %qp = getelementptr %job, ptr %job, i32 0, i32 2\n"
    "  %tp = getelementptr %job, ptr %job, i32 0, i32 3\n"
    "  store i32 %parts, ptr %qp\n"
    "  store ptr %threads, ptr %tp\n"
    "  %parts64 = sext i32 %parts to i64\n"
    "  %few = icmp slt i64 %n, %parts64\n"
    "  %first = zext i1 %few to i32\n"
    "  %left = urem i64 %n, %parts64\n"
    "  %whole = icmp eq i64 %left, 0\n"
    "  %last = select i1 %whole, i32 0, i32 {phases}\n"
    "  store i32 %first, ptr %pp\n"
    "  %has = icmp ne ptr %barrier, null\n"
    "  br i1 %has, label %together, label %next\n"
    "together:\n"
    "  call void %run(ptr %self, ptr @all_phases, ptr %job, i32 %parts)\n"
    "  ret i32 0\n"
    "next:\n"
    "  %phase = phi i32 [ %first, %go ], [ %up, %next ]\n"
    "  store i32 %phase, ptr %pp\n"
    "  call void %run(ptr %self, ptr @phase_alone, ptr %job, i32 %parts)\n"
    "  %up = add i32 %phase, 1\n"
    "  %more = icmp sle i32 %up, %last\n"
    "  br i1 %more, label %next, label %done\n"
    "done:\n"
    "  ret i32 0\n"
    "bad:\n"
    "  ret i32 1\n"
    "}\n";

static const char init_text[] = "define i32 @$_init(ptr %context, ptr %weights, {size} %bytes) #0 {\n"
                                "  %null = icmp eq ptr %context, null\n"
                                "  br i1 %null, label %bad, label %cpu\n"
                                "cpu:\n"
                                "  %able = call i1 @cpu_is_good()\n"
                                "  br i1 %able, label %load, label %bad_cpu\n"
                                "load:\n"
                                "  %w = call ptr @weights_at(ptr %weights, {size} %bytes)\n"
                                "  %code = ptrtoint ptr %w to i64\n"
                                "  %refused = icmp ule i64 %code, 2\n"
                                "  %wanted = icmp ne i64 %code, 0\n"
                                "  %wrong = and i1 %refused, %wanted\n"
                                "  %status = trunc i64 %code to i32\n"
                                "  br i1 %wrong, label %bad_weights, label %good\n"
                                "good:\n"
                                "  store ptr @model, ptr %context\n"
                                "  %c1 = getelementptr %context, ptr %context, i32 0, i32 1\n"
                                "  store ptr %w, ptr %c1\n"
                                "  %c2 = getelementptr %context, ptr %context, i32 0, i32 2\n"
                                "  store i64 0, ptr %c2\n"
                                "  %c3 = getelementptr %context, ptr %context, i32 0, i32 2, i32 1\n"
                                "  store i64 0, ptr %c3\n"
                                "  ret i32 0\n"
                                "bad:\n"
                                "  ret i32 1\n"
                                "bad_weights:\n"
                                "  ret i32 %status\n"
                                "bad_cpu:\n"
                                "  ret i32 3\n"
                                "}\n"
                                "attributes #0 = { nounwind \"target-cpu\"=\"{base}\" }\n";

/* The address of the weights' data; 1 and 2 are the statuses of init. Weights of the object's own: none are taken. */
static const char own_weights[] = "define internal ptr @weights_at(ptr %weights, {size} %bytes) #0 {\n"
                                  "  %null = icmp eq ptr %weights, null\n"
                                  "  %none = icmp eq {size} %bytes, 0\n"
                                  "  %ok = and i1 %null, %none\n"
                                  "  %at = select i1 %ok, ptr {data}, ptr inttoptr (i64 1 to ptr)\n"
                                  "  ret ptr %at\n"
                                  "}\n";

static const char given_weights[] = "define internal ptr @weights_at(ptr %weights, {size} %bytes) #0 {\n"
                                    "  %a = ptrtoint ptr %weights to i64\n"
                                    "  %low = and i64 %a, 63\n"
                                    "  %null = icmp eq i64 %a, 0\n"
                                    "  %off = icmp ne i64 %low, 0\n"
                                    "  %bad = or i1 %null, %off\n"
                                    "  br i1 %bad, label %argument, label %size\n"
                                    "size:\n"
                                    "  %enough = icmp uge {size} %bytes, {file_bytes}\n"
                                    "  br i1 %enough, label %header, label %wrong\n"
                                    "header:\n"
                                    "  %p1 = getelementptr i64, ptr %weights, i64 1\n"
                                    "  %p2 = getelementptr i64, ptr %weights, i64 2\n"
                                    "  %p3 = getelementptr i64, ptr %weights, i64 3\n"
                                    "  %w0 = load i64, ptr %weights\n"
                                    "  %w1 = load i64, ptr %p1\n"
                                    "  %w2 = load i64, ptr %p2\n"
                                    "  %w3 = load i64, ptr %p3\n"
                                    "  %e0 = icmp eq i64 %w0, {magic}\n"
                                    "  %e1 = icmp eq i64 %w1, {digest0}\n"
                                    "  %e2 = icmp eq i64 %w2, {digest1}\n"
                                    "  %e3 = icmp eq i64 %w3, {weights_bytes}\n"
                                    "  %e01 = and i1 %e0, %e1\n"
                                    "  %e23 = and i1 %e2, %e3\n"
                                    "  %mine = and i1 %e01, %e23\n"
                                    "  br i1 %mine, label %good, label %wrong\n"
                                    "good:\n"
                                    "  %data = getelementptr i8, ptr %weights, i64 {header_bytes}\n"
                                    "  ret ptr %data\n"
                                    "argument:\n"
                                    "  ret ptr inttoptr (i64 1 to ptr)\n"
                                    "wrong:\n"
                                    "  ret ptr inttoptr (i64 2 to ptr)\n"
                                    "}\n";

/* Inputs that decided shapes: is each the value that the code was made for? */
static const char value_text[] = "define internal i1 @is_value(ptr %input, ptr %value, i64 %bytes) #0 {\n"
                                 "  %none = icmp eq i64 %bytes, 0\n"
                                 "  br i1 %none, label %good, label %next\n"
                                 "next:\n"
                                 "  %i = phi i64 [ 0, %0 ], [ %j, %step ]\n"
                                 "  %ap = getelementptr i8, ptr %input, i64 %i\n"
                                 "  %bp = getelementptr i8, ptr %value, i64 %i\n"
                                 "  %a = load volatile i8, ptr %ap\n" /* no call of bcmp */
                                 "  %b = load i8, ptr %bp\n"
                                 "  %same = icmp eq i8 %a, %b\n"
                                 "  br i1 %same, label %step, label %bad\n"
                                 "step:\n"
                                 "  %j = add i64 %i, 1\n"
                                 "  %more = icmp ult i64 %j, %bytes\n"
                                 "  br i1 %more, label %next, label %good\n"
                                 "good:\n"
                                 "  ret i1 true\n"
                                 "bad:\n"
                                 "  ret i1 false\n"
                                 "}\n";

static void add_values(vj_text *out, const vj_object_abi *abi) {
    const vj_model *m = abi->model;
    const char *all = "true";
    vj_text body = {.arena = out->arena};
    vj_text_add(out, "%s", value_text);
    vj_text_add(&body, "define internal i1 @values_are_good(ptr %%inputs) #0 {\n");
    for (int32_t i = 0; abi->required && i < m->input_count; i++) {
        if (!abi->required[i]) continue;
        const long long bytes = (long long)m->inputs[i].bytes_per_image;
        vj_text_add(out, "@value_%d = private unnamed_addr constant [%lld x i8] c\"", (int)i, bytes);
        for (long long b = 0; b < bytes; b++)
            vj_text_add(out, "\\%02X", (unsigned)abi->required[i][b]);
        vj_text_add(out, "\"\n");
        vj_text_add(&body,
                    "  %%p%d = getelementptr ptr, ptr %%inputs, i64 %d\n  %%i%d = load ptr, ptr %%p%d\n"
                    "  %%s%d = call i1 @is_value(ptr %%i%d, ptr @value_%d, i64 %lld)\n  %%a%d = and i1 %s, %%s%d\n",
                    (int)i, (int)i, (int)i, (int)i, (int)i, (int)i, (int)i, bytes, (int)i, all, (int)i);
        all = vj_sprintf(out->arena, "%%a%d", (int)i);
    }
    vj_text_add(out, "%s  ret i1 %s\n}\n", body.at, all);
}

static void parse_and_link(LLVMModuleRef module, const vj_text *text, vj_error *error) {
    /* The reader takes the buffer; LLVM wants it to end with a zero, which vj_text has. */
    LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRangeCopy(text->at, text->length, "abi");
    LLVMModuleRef part = NULL;
    char *message = NULL;
    if (LLVMParseIRInContext(LLVMGetModuleContext(module), buffer, &part, &message)) {
        vj_fail(error, VJ_SYSTEM, "the driver's text: %s", message);
        LLVMDisposeMessage(message);
        return;
    }
    LLVMSetTarget(part, LLVMGetTarget(module));
    LLVMSetDataLayout(part, LLVMGetDataLayoutStr(module));
    if (LLVMLinkModules2(module, part)) vj_fail(error, VJ_SYSTEM, "the driver's text does not link");
}

/* The packed weights as a constant of the object. */
static void add_weights(LLVMModuleRef module, const void *weights, int64_t bytes) {
    LLVMContextRef context = LLVMGetModuleContext(module);
    LLVMValueRef data = LLVMConstStringInContext2(context, weights, (size_t)bytes, true);
    LLVMValueRef global = LLVMAddGlobal(module, LLVMTypeOf(data), "weights");
    LLVMSetInitializer(global, data);
    LLVMSetGlobalConstant(global, true);
    LLVMSetAlignment(global, VJ_ALIGN);
}

void vj_gen_abi(LLVMModuleRef module, const vj_target *target, const vj_object_abi *abi, vj_error *error) {
    const vj_model *m = abi->model;
    vj_arena *arena = vj_arena_new();
    vj_text text = {.arena = arena};
    const bool inside = abi->weights || m->weights_bytes == 0;
    const uint32_t bits = target->cpu_feature_bits;
    const cpu_masks *masks = masks_of(bits);
#define NUMBER(x) vj_sprintf(arena, "%lld", (long long)(x))
    const word words[] = {{"leaf1", NUMBER((int32_t)masks->leaf1)},
                          {"leaf7", NUMBER((int32_t)masks->leaf7)},
                          {"more", NUMBER((int32_t)masks->more)},
                          {"saved", NUMBER(masks->saved)},
                          {"size", target->machine->pointer_bytes == 8 ? "i64" : "i32"},
                          {"max_batch", NUMBER(m->max_batch)},
                          {"input_count", NUMBER(m->input_count)},
                          {"output_count", NUMBER(m->output_count)},
                          {"no_scratch", m->scratch_fixed + m->scratch_per_image == 0 ? "true" : "false"},
                          {"phases", NUMBER(m->phase_count)},
                          {"base", target->machine->llvm_cpu},
                          {"data", abi->weights ? "@weights" : "null"},
                          {"file_bytes", NUMBER(m->weights_bytes + VJ_WEIGHTS_HEADER)},
                          {"header_bytes", NUMBER(VJ_WEIGHTS_HEADER)},
                          {"magic", NUMBER(VJ_WEIGHTS_MAGIC)},
                          {"digest0", NUMBER(m->weights_digest[0])},
                          {"digest1", NUMBER(m->weights_digest[1])},
                          {"weights_bytes", NUMBER(m->weights_bytes)}};
#undef NUMBER
    const int32_t count = sizeof words / sizeof *words;
    add_descriptor(&text, target, m);
    if (abi->weights) vj_text_add(&text, "@weights = external constant [%lld x i8]\n", (long long)m->weights_bytes);
    fill(&text, cpu_check_of(bits), abi->prefix, words, count);
    fill(&text, inside ? own_weights : given_weights, abi->prefix, words, count);
    add_values(&text, abi);
    fill(&text, run_text, abi->prefix, words, count);
    fill(&text, threads_text, abi->prefix, words, count);
    fill(&text, init_text, abi->prefix, words, count);
    if (abi->weights) add_weights(module, abi->weights, m->weights_bytes);
    parse_and_link(module, &text, error);
    LLVMValueRef weights = LLVMGetNamedGlobal(module, "weights");
    if (weights) LLVMSetLinkage(weights, LLVMInternalLinkage);
    vj_arena_free(arena);
}
