# What is shipped: libvitjit (the C API: runtime and cache, no LLVM), libvitjit_compiler (opened on a cache miss),
# libvitjit_rt.a (for programs that link emitted objects) and the command line.
add_library(vitjit SHARED $<TARGET_OBJECTS:vj_runtime>)
set_target_properties(vitjit PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
target_include_directories(vitjit INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                            $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
vj_common(vitjit)
target_link_libraries(vitjit PRIVATE Threads::Threads m)

add_library(vitjit_compiler MODULE $<TARGET_OBJECTS:vj_compiler>)
vj_common(vitjit_compiler)
target_link_libraries(vitjit_compiler PRIVATE vj_backend vj_passes vj_frontend vj_target vj_ir vj_onnx_schema
                      vj_llvm vj_protobuf Threads::Threads m)

# Only what runtime.h lists for it: libc alone, and no symbol beside those of vitjit_rt.h (and the pool's three of pool.h).
set(VJ_RT_SOURCES cpus.c pool.c weights_file.c)
list(TRANSFORM VJ_RT_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/runtime/)
add_library(vitjit_rt STATIC ${VJ_RT_SOURCES})
vj_common(vitjit_rt)
vj_see(vitjit_rt runtime)
target_include_directories(vitjit_rt INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                               $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(vitjit_rt INTERFACE Threads::Threads)

add_executable(vitjit_cli ${PROJECT_SOURCE_DIR}/cli/main.c)
set_target_properties(vitjit_cli PROPERTIES OUTPUT_NAME vitjit)
vj_common(vitjit_cli)
vj_see(vitjit_cli cli runtime)
target_link_libraries(vitjit_cli PRIVATE vj_cli vitjit vj_images vj_json m)
