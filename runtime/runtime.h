/* SPDX-License-Identifier: Apache-2.0 */
/* runtime.h - images, weights, threads, cache and the C API. libc and inline XXH3 only. It sees no other folder.
 *
 * Of libvitjit alone:
 * compile.c           a model's file becomes a model: by the cache, or by the compiler on a miss
 * ask.c               calls of the compiler: in a process of their own, or in this one
 * compiler_library.c  where the compiler is; opens its library
 * apart/              the process that compiles: how it is begun, asked, answered and ended
 * family.c            models of one file for sizes as they come
 * cache/              files of earlier compilations: the way from a model's files to its graph key, listing, check and bound
 *
 * Of libvitjit_rt too, for programs whose models were compiled ahead of time (cmake/runtime.cmake):
 * image.c          checks an image and maps its code
 * weights.c        maps packed weights
 * cpu.c            what this CPU has
 * model.c          the public model: an image and its weights
 * session.c        binding and running
 * library.c        finds image and weights in an emitted library's file; load.c makes a model of it
 * options.c        a caller's options
 * debug/           what debuggers and profilers learn of mapped code; marks of a profile; gaps of scratch with AddressSanitizer
 * cpus.c           how many CPUs we may use
 * pool.c           threads that run a model's phases
 * weights_file.c   maps packed weights for emitted objects
 * object_check.c   what is wrong with what an emitted object is given
 */
#ifndef VITJIT_RUNTIME_RUNTIME_H
#define VITJIT_RUNTIME_RUNTIME_H

#include <stdbool.h>
#include <stdio.h>

#include "pool.h"
#include "vitjit_compiler.h"

/* error.c: this thread's failure */
vj_status vj_error_set(vj_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* options.c: a copy, checked. Options of an older caller end earlier: what they lack keeps its default. */
vj_status vj_options_take(const vj_options *given, vj_options *options);

/* image.c */

/* Is it a whole image? Validates every offset and size and the checksum; the reason goes to the error text. */
vj_status vj_image_check(const void *image, size_t bytes);
/* The same without the checksum of the content. */
vj_status vj_image_check_layout(const void *image, size_t bytes);
/* Is it whole, and the image of this graph? NULL is none. */
bool vj_image_is_of(const void *image, size_t bytes, const uint64_t graph_key[2]);
/* The code, readable and executable, never writable. Unmapped by munmap(*code, *bytes). */
vj_status vj_image_map_code(const void *image, void **code, size_t *bytes);

/* weights.c */
typedef struct vj_weights_map {
    void *base;
    size_t bytes;
    const void *data;
    uint64_t check[2]; /* the digest that the data should have */
    int64_t data_bytes;
} vj_weights_map;
vj_status vj_weights_map_fd(int fd, const uint64_t digest[2], int64_t bytes, vj_weights_map *map);
/* Packed bytes without a header, `at` a place in the file. */
vj_status vj_weights_map_part(int fd, int64_t at, int64_t bytes, const uint64_t check[2], vj_weights_map *map);
void vj_weights_unmap(vj_weights_map *map);
/* Are the packed bytes those that were written? */
bool vj_weights_whole(const vj_weights_map *map);

/* cpu.c */
__attribute__((visibility("default"))) uint64_t vj_cpu_features(uint64_t wanted); /* those there are, VJ_CPU_* */
uint64_t vj_cpu_fingerprint(void); /* differs when the host target may differ */

/* model.c: the public vj_model comes first, so the handle is the descriptor. */
typedef struct vj_model_state {
    vj_model model;
    vj_cpu_variant cpu;
    void *image; /* malloc'ed; names and tables point into it */
    size_t image_bytes;
    vj_tensor_info *tensors; /* inputs, then outputs */
    const void **required;   /* of each input: what it must be, or NULL */
    int32_t all_outputs;     /* the code's: behind the model's own output_count those that get dims */
    void *code;
    size_t code_bytes;
    vj_phase_fn phase;
    vj_weights_map weights;
    vj_threads scheduler;
    bool own_threads;                   /* the pool, not the caller's scheduler */
    vj_pool *pool;                      /* made with the first session when parts > 1 */
    bool borrows_pool, borrows_weights; /* they are its family's */
    int32_t pool_lock;
    int32_t parts;
    struct vj_debug *debug; /* of mapped code */
    double compile_ms;
    int32_t cache_hit;
    void *orc;
    void (*free_orc)(void *orc);
    vj_gap *gaps; /* of scratch; only in builds with AddressSanitizer */
    int32_t gap_count;
} vj_model_state;
static inline const vj_model_state *vj_state(const vj_model *model) { return (const vj_model_state *)model; }
/* Takes the image and the descriptor, on failure too. */
vj_status vj_model_new(vj_compiled *compiled, const vj_options *options, vj_model **model);

/* library.c: what the note of an emitted library says, with places in the file; of several the best that this CPU can
 * run, else the first. */
typedef struct vj_library {
    vj_library_note note;
    int64_t image_at, weights_at;
    vj_cpu_variant cpu; /* its name is not read */
    bool runs;          /* on this CPU */
} vj_library;
vj_status vj_library_find(int fd, vj_library *library);
/* All of them, or false. */
bool vj_read_at(int fd, void *to, size_t bytes, int64_t at); /* false: errno says why, 0 that the file ends */

/* poison.c: marks what no buffer has of `bytes` of scratch, of which `used` are used, and unmarks all. Nothing but in
 * builds with AddressSanitizer. */
void vj_scratch_poison(const vj_model_state *s, void *scratch, int64_t used, size_t bytes);
void vj_scratch_unpoison(void *scratch, size_t bytes);

/* debug.c: tells debuggers, and perf when VITJIT_PERF_MAP is set, what functions the code has; `symbols` as in the image.
 * NULL: nobody was told, for want of memory or of symbols. */
typedef struct vj_debug vj_debug;
vj_debug *vj_debug_register(const void *code, size_t code_bytes, const char *symbols);
void vj_debug_unregister(vj_debug *debug);

/* debug_elf.c: an object in memory with the code's address and its functions; malloc'ed, or NULL. */
void *vj_debug_object(const void *code, size_t code_bytes, const char *symbols, size_t *bytes);
/* The next line of `symbols`: false at the end, or where it is no line of functions inside the code. The name ends at
 * its newline. */
typedef struct vj_function_line {
    uint64_t offset, size;
    const char *name;
    int32_t name_length;
} vj_function_line;
bool vj_debug_line(const char **symbols, size_t code_bytes, vj_function_line *line);

/* profile.c: vj_marked_args.mark; self is a session's vj_spans, or NULL: nothing is kept. */
typedef struct vj_spans vj_spans;
int64_t vj_mark(void *self, int32_t kernel, int64_t begun, int64_t units);
vj_spans *vj_spans_new(int64_t most);
void vj_spans_free(vj_spans *spans);
const struct vj_span *vj_spans_kept(const vj_spans *spans, int64_t *count, int64_t *lost); /* of NULL: none */

/* key.c */
typedef struct vj_key {
    uint64_t half[2];
} vj_key;
/* digest.c: as vitjit_digest.h defines it; vj_key_of is plain XXH3-128 */
vj_key vj_key_of(const void *bytes, size_t size);
vj_key vj_digest_memory(const void *at, size_t bytes);
/* A file that is open, or memory (at). */
typedef struct vj_content {
    int fd;
    const char *at;
    int64_t size;
} vj_content;
/* Plain XXH3-128 of parts; false when one cannot be read. */
typedef struct vj_digest_part {
    vj_content from;
    int64_t offset, bytes;
    vj_key digest;
} vj_digest_part;
bool vj_digest_parts(vj_digest_part *parts, int32_t count);
#define VJ_KEY_TEXT 33
void vj_key_text(const uint64_t half[2], char text[VJ_KEY_TEXT]);

/* cache.c */
typedef struct vj_cache vj_cache;
typedef void (*vj_log_fn)(void *self, vj_log_level level, const char *text);
/* NULL when there is no usable folder (logged) or none is wanted. */
vj_cache *vj_cache_open(const char *folder, vj_log_fn log, void *log_self, int32_t log_level);
void vj_cache_close(vj_cache *cache);
bool vj_cache_find(vj_cache *cache, const vj_key *file_key, const vj_content *model, const char *model_path,
                   vj_compiled *found);
void vj_cache_put(vj_cache *cache, const vj_key *file_key, const vj_content *model, const char *model_path,
                  const vj_compiled *compiled);
/* The store to hand to the compiler; a NULL cache keeps weights in a memfd. Lives as long as the cache. */
vj_weights_store vj_cache_store(vj_cache *cache);
/* The folder that is meant; false when caching is switched off. */
bool vj_cache_folder(const char *asked, char *folder, size_t room);
/* A whole file of the user's own; malloc'ed, or NULL. */
void *vj_cache_read(const char *path, size_t *bytes);

/* A file of the cache, of `most` bytes at most: malloc'ed, with a zero behind it; NULL: there is none. */
void *vj_cache_get(const vj_cache *cache, const vj_key *key, const char *kind, size_t most, size_t *bytes);
void vj_cache_set(vj_cache *cache, const vj_key *key, const char *kind, const void *bytes, size_t size, bool warned);
/* The file key: a sample of the model, options, CPU, the compiler's build. */
void vj_file_key(const vj_compile_request *request, const vj_key *sample, vj_key *key);

/* entry.c. model_path: where external data is looked for; NULL: there is none. */
bool vj_entry_find(vj_cache *cache, const vj_key *key, const vj_content *model, const char *model_path, vj_key *graph);
char *vj_entry_text(const vj_key *key, const vj_content *model, const char *model_path, const vj_compiled *compiled,
                    size_t *bytes);
/* The lines of an entry's text; NULL: it is damaged, or another key's. */
char *vj_entry_lines(char *text, size_t bytes, const vj_key *key, vj_key *check);
/* What was compiled just now from files that have not changed since need not be read again. */
void vj_entry_note(vj_cache *cache, const vj_key *key, const vj_content *model, const char *model_path);

/* content.c */
vj_status vj_content_open(const char *path, vj_content *content);
void vj_content_close(vj_content *content);
/* Of content that differs it differs, almost always; false: it cannot be read. */
bool vj_content_sample(const vj_content *content, vj_key *sample);
/* The digest of what lies between the parts; false, too, where they are not in order, apart and inside. */
bool vj_content_rest(const vj_content *content, const vj_file_part *parts, int32_t count, vj_key *rest);
/* Equal identities of a file at two times: it has not changed. False: nothing is known of it. */
bool vj_content_identity(const vj_content *content, vj_key *identity);

/* The path of an external data file. */
void vj_cache_beside(const char *model_path, const char *name, char *path, size_t room);

/* cache_files.c */
#define VJ_CACHE_BYTES (INT64_C(8) << 30)
/* Removes what a writer left behind, then the least recently used files until the others have at most `bytes`. What could not be
 * removed: how many files, and of the first the reason (errno); 0: nothing. */
int32_t vj_cache_bound(const char *folder, int64_t bytes, int *why);
bool vj_cache_ends_in(const char *name, const char *end);
bool vj_cache_is_ours(const char *name); /* by the name's ending */

#pragma GCC visibility push(default)
/* For the command line. */
vj_status vj_compile_with(const vj_compile_request *request, vj_model **model);
vj_status vj_compiler_open(const vj_compiler_api **api); /* in this process, which keeps it */
/* ask.c: failures are in vj_error_message(). Texts are malloc'ed; what there is of one may come with a failure too. */
vj_status vj_ask_text(vj_errand errand, const vj_compile_request *request, char **text);
vj_status vj_ask_emit(const vj_compile_request *request, const vj_emit_request *emit, char **summary);
vj_status vj_ask_tensor(const char *path, const vj_options *options, vj_read_data *data);
const char *vj_model_introduction(const vj_model *model);
vj_status vj_cache_list(const char *folder, FILE *out);
/* What was compiled from this model file, or those in this folder; VJ_BAD_INPUT when there is nothing. */
vj_status vj_cache_remove(const char *folder, const char *model, FILE *out);
vj_status vj_cache_verify(const char *folder, FILE *out);    /* VJ_BAD_INPUT when a file is damaged */
vj_status vj_cache_prune(const char *folder, int64_t bytes); /* 0: all */
int32_t vj_model_parts(const vj_model *model);

/* Of models compiled with marks: their kernels as a JSON array ("" without marks). */
const char *vj_model_kernels(const vj_model *model);
/* One thread's share of a kernel, or a part of that share: `units` of its units, times the images. */
typedef struct vj_span {
    int64_t begin_ns, end_ns; /* CLOCK_MONOTONIC */
    int64_t units;
    uint64_t thread; /* a name that no two threads at once have */
    int32_t kernel;
} vj_span;
/* From now on runs keep their spans, `most` in all (those beyond are counted alone); forgets earlier ones. */
vj_status vj_session_record(vj_session *session, int64_t most);
/* In no order. *count are kept, *lost are not. Between runs only. */
const vj_span *vj_session_spans(const vj_session *session, int64_t *count, int64_t *lost);
#pragma GCC visibility pop

/* build_id.c: the GNU build-id of an ELF file of 64 bits, in hexadecimal. */
bool vj_build_id_of(const char *path, char *text, size_t room);

/* ask.c; free_orc: NULL, or what frees compiled->orc */
vj_status vj_ask_compile(const vj_compile_request *request, const vj_weights_store *store, vj_compiled *compiled,
                         void (**free_orc)(void *));

/* compiler_library.c */

/* The path of a file in the folder of the library (or program) that holds this code; that of the compiler's library. */
void vj_beside(const char *name, char *path, size_t room);
void vj_compiler_path(char *path, size_t room);
vj_status vj_compiler_open_at(const char *path, const vj_compiler_api **api);
/* Says which compiler would be opened: the version, and the library's build-id, or its size and time. */
void vj_compiler_build(char text[256]);

#endif
