/* order.c - what the command asks of the compiler. */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

static void log_line(void *self, vj_log_level level, const char *text) {
    if (level != VJ_LOG_INFO) vj_say_warning(self, "%s", text);
}

/* "1x3x224x224"; N is the batch */
static bool read_dims(const char *text, vj_shape *shape) {
    for (const char *at = text;; at++) {
        const bool is_batch = *at == 'N';
        char *end = (char *)(uintptr_t)(at + 1);
        errno = 0;
        const long long dim = is_batch ? VJ_BATCH_DIM : strtoll(at, &end, 10);
        if (end == at || errno || (dim < 1 && !is_batch) || shape->rank == VJ_MODEL_MAX_RANK) return false;
        shape->dims[shape->rank++] = dim;
        if (!*end) return true;
        if (*end != 'x' && *end != ',') return false;
        at = end;
    }
}

/* All words of --shape, as they came. */
static vj_status read_all_shapes(const vj_command *command, vj_order *order) {
    order->given = calloc((size_t)command->shapes.count + 1, sizeof *order->given);
    if (!order->given) return vj_say(VJ_SYSTEM, NULL, "no memory");
    for (int32_t i = 0; i < command->shapes.count; i++) {
        const char *text = command->shapes.at[i], *equals = strrchr(text, '=');
        vj_shape *shape = &order->given[i];
        if (!equals || equals == text || !read_dims(equals + 1, shape))
            return vj_say(VJ_USAGE, NULL, "--shape wants NAME=1x3x224x224, not '%s'", text);
        shape->name = strndup(text, (size_t)(equals - text));
        if (!shape->name) return vj_say(VJ_SYSTEM, NULL, "no memory");
        order->given_count++;
    }
    return VJ_OK;
}

/* How often the name is given before shape `end`. */
static int32_t mentions(const vj_order *order, const char *name, int32_t end) {
    int32_t count = 0;
    for (int32_t i = 0; i < end; i++)
        count += strcmp(order->given[i].name, name) == 0;
    return count;
}

/* Set number k takes of each input the shape that was given k-th, or the only one. */
static void fill_set(const vj_order *order, int32_t number, vj_shape *shapes, vj_shape_set *set) {
    *set = (vj_shape_set){.shapes = shapes};
    for (int32_t i = 0; i < order->given_count; i++) {
        const char *name = order->given[i].name;
        const bool is_only = mentions(order, name, order->given_count) == 1;
        if (is_only || mentions(order, name, i) == number) shapes[set->count++] = order->given[i];
    }
}

/* An input that is given several times makes several shapes of the model. */
static vj_status read_shapes(const vj_command *command, vj_order *order) {
    const vj_status status = read_all_shapes(command, order);
    if (status) return status;
    const char *most = "";
    order->set_count = 1;
    for (int32_t i = 0; i < order->given_count; i++) {
        const int32_t count = mentions(order, order->given[i].name, order->given_count);
        if (count > order->set_count) {
            order->set_count = count;
            most = order->given[i].name;
        }
    }
    for (int32_t i = 0; i < order->given_count; i++) {
        const int32_t count = mentions(order, order->given[i].name, order->given_count);
        if (count == 1 || count == order->set_count) continue;
        vj_say(VJ_USAGE, NULL, "--shape is given %d times for '%s' and %d times for '%s'", (int)count,
               order->given[i].name, (int)order->set_count, most);
        vj_say_hint("an object for several shapes wants each input once for all of them, or once for each");
        return VJ_USAGE;
    }
    if (order->set_count > 1 && command->mode != VJ_MODE_EMIT) {
        vj_say(VJ_USAGE, NULL, "--shape is given twice for '%s'", most);
        vj_say_hint("--emit-obj makes one object for several shapes");
        return VJ_USAGE;
    }
    order->sets = calloc((size_t)order->set_count, sizeof *order->sets);
    order->shapes = calloc((size_t)order->set_count * (size_t)order->given_count + 1, sizeof *order->shapes);
    if (!order->sets || !order->shapes) return vj_say(VJ_SYSTEM, NULL, "no memory");
    for (int32_t i = 0; i < order->set_count; i++)
        fill_set(order, i, order->shapes + (size_t)i * (size_t)order->given_count, &order->sets[i]);
    order->shape_count = order->sets[0].count;
    return VJ_OK;
}

vj_fixed_input vj_as_fixed(const vj_array *array) {
    vj_fixed_input value = {array->name, array->dtype, array->rank, {0}, array->data, array->bytes};
    memcpy(value.dims, array->dims, sizeof value.dims);
    return value;
}

static vj_status read_fixes(const vj_command *command, vj_order *order) {
    order->fix_count = command->fixes.count;
    order->fixed = calloc((size_t)order->fix_count + 1, sizeof *order->fixed);
    if (!order->fixed) return vj_say(VJ_SYSTEM, NULL, "no memory");
    const vj_status status = vj_read_named(&command->fixes, "--fix", &order->fixes);
    for (int32_t i = 0; status == VJ_OK && i < order->fix_count; i++)
        order->fixed[i] = vj_as_fixed(&order->fixes[i]);
    return status;
}

vj_status vj_compiler(const vj_compiler_api **api) {
    const vj_status status = vj_compiler_open(api);
    return status ? vj_say(status, NULL, "%s", vj_error_message()) : VJ_OK;
}

vj_status vj_order_fill(const vj_command *command, vj_order *order) {
    *order = (vj_order){.model = command->model};
    vj_options *o = &order->options;
    vj_options_init(o);
    vj_status status = read_shapes(command, order);
    if (status == VJ_OK) status = read_fixes(command, order);
    if (status == VJ_OK) status = vj_choose_cpus(command, order);
    if (status) return status;
    o->cpu = order->cpus[0];
    const bool bisecting =
        command->print_after || command->stop_after || command->disabled_passes.count || command->pass_limit >= 0;
    o->threads = (int32_t)command->threads;
    o->cache = command->no_cache || bisecting ? "" : command->cache;
    o->shapes = order->shapes;
    o->shape_count = order->shape_count;
    o->fixed = order->fixed;
    o->fixed_count = order->fix_count;
    o->also_outputs = command->also_outputs.at;
    o->also_output_count = command->also_outputs.count;
    o->keep_attention = command->attention ? VJ_KEEP_ATTENTION_ROWS : VJ_KEEP_NO_ATTENTION;
    o->use_orc = command->jit && strcmp(command->jit, "orc") == 0;
    o->log = log_line;
    o->log_self = (void *)(uintptr_t)command->model;
    order->request = (vj_compile_request){.path = command->model,
                                          .options = o,
                                          .fixed_batch = command->batch,
                                          .print_after = command->print_after,
                                          .stop_after = command->stop_after,
                                          .disabled_passes = command->disabled_passes.at,
                                          .disabled_pass_count = command->disabled_passes.count,
                                          .pass_limit = (int32_t)command->pass_limit,
                                          .marks = command->marks};
    return VJ_OK;
}

void vj_order_free(vj_order *order) {
    for (int32_t i = 0; i < order->given_count; i++)
        free((void *)(uintptr_t)order->given[i].name);
    free(order->given);
    free(order->shapes);
    free(order->sets);
    vj_arrays_free(order->fixes, order->fix_count);
    free(order->fixed);
    *order = (vj_order){0};
}
