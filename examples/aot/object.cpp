// object.cpp - an emitted object by the class of its header, on threads of the standard library.
//     usage: object_cpp FOLDER-OF-DIGITS
#include <thread>
#include <vector>

#include "digits.h"
#include "digits_data.h"

// All parts of a phase, each on a thread of its own; a pool would keep them.
static void run_parts(void *, void (*task)(void *arg, std::int32_t part), void *arg, std::int32_t parts) {
    std::vector<std::thread> threads;
    for (std::int32_t part = 1; part < parts; part++)
        threads.emplace_back(task, arg, part);
    task(arg, 0);
    for (std::thread &thread : threads)
        thread.join();
}

int main(int argc, char **argv) {
    if (argc != 2 || !read_digits(argv[1])) return 2;
    vj_threads threads = {};
    threads.parts = 2;
    threads.run = run_parts;
    digits_session session(PICTURES, nullptr, 0, &threads);
    if (session.run(PICTURES, {images}, {logits}) != VJ_RUN_OK) return 2;
    return judge();
}
