# SPDX-License-Identifier: Apache-2.0
# libvitjit_rt: what a program needs beside a model that was compiled ahead of time (threads, mapped weights, vj_load). libc
# alone, so it also builds without the compiler's dependencies, for any machine: -DVITJIT_RUNTIME_ONLY=ON.
find_package(Threads REQUIRED)

# Hashing is compiled in (XXH_INLINE_ALL). The header is copied, so that a cross build sees it and nothing beside it.
find_file(XXHASH_HEADER xxhash.h REQUIRED NO_CMAKE_FIND_ROOT_PATH)
configure_file(${XXHASH_HEADER} ${PROJECT_BINARY_DIR}/xxhash/xxhash.h COPYONLY)
add_library(vj_xxhash INTERFACE)
target_include_directories(vj_xxhash SYSTEM INTERFACE ${PROJECT_BINARY_DIR}/xxhash)
target_compile_definitions(vj_xxhash INTERFACE XXH_INLINE_ALL)

# The list of what a shared library gives: FOLDER/NAME.map.
function(vj_exports target map)
  set(file ${PROJECT_SOURCE_DIR}/${map})
  target_link_options(${target} PRIVATE -Wl,--version-script=${file})
  set_target_properties(${target} PROPERTIES LINK_DEPENDS ${file})
endfunction()

function(vj_public target)
  vj_common(${target})
  target_include_directories(${target} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                                 $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endfunction()

# What runtime.h lists for it.
set(VJ_RT_SOURCES cpu.c cpus.c debug/debug.c debug/debug_elf.c cache/digest.c error.c image.c library.c load.c model.c object_check.c
    options.c debug/poison.c pool.c debug/profile.c session.c weights.c weights_file.c)
list(TRANSFORM VJ_RT_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/runtime/)
add_library(vitjit_rt STATIC ${VJ_RT_SOURCES})
add_library(vitjit_rt_shared SHARED ${VJ_RT_SOURCES})
set_target_properties(vitjit_rt_shared PROPERTIES OUTPUT_NAME vitjit_rt VERSION ${PROJECT_VERSION}
                                                  SOVERSION ${PROJECT_VERSION_MAJOR})
vj_exports(vitjit_rt_shared runtime/vitjit_rt.map)
foreach(library vitjit_rt vitjit_rt_shared)
  vj_public(${library})
  vj_see(${library} runtime)
  target_link_libraries(${library} PRIVATE $<BUILD_INTERFACE:vj_xxhash>)
  # Functions that a program does not use stay out of it.
  target_compile_options(${library} PRIVATE -ffunction-sections -fdata-sections)
endforeach()
target_link_options(vitjit_rt_shared PRIVATE -Wl,--gc-sections)
target_link_libraries(vitjit_rt INTERFACE Threads::Threads)
target_link_libraries(vitjit_rt_shared PRIVATE Threads::Threads)
