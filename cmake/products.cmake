# SPDX-License-Identifier: Apache-2.0
# What is shipped: libvitjit (the C API: runtime and cache, no LLVM), vitjit-compile (run on a cache miss) with libvitjit_compiler,
# libvitjit_picture (picture files as inputs), libvitjit_rt (runtime.cmake) and the command line.
add_library(vitjit SHARED $<TARGET_OBJECTS:vj_runtime>)
set_target_properties(vitjit PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
vj_public(vitjit)
vj_exports(vitjit runtime/vitjit.map)
target_link_libraries(vitjit PRIVATE Threads::Threads m)

add_library(vitjit_picture STATIC $<TARGET_OBJECTS:vj_pictures>)
add_library(vitjit_picture_shared SHARED $<TARGET_OBJECTS:vj_pictures>)
set_target_properties(vitjit_picture_shared PROPERTIES OUTPUT_NAME vitjit_picture VERSION ${PROJECT_VERSION}
                                                       SOVERSION ${PROJECT_VERSION_MAJOR})
vj_exports(vitjit_picture_shared pictures/vitjit_picture.map)
foreach(library vitjit_picture vitjit_picture_shared)
  vj_public(${library})
endforeach()
target_link_libraries(vitjit_picture_shared PRIVATE vj_images vj_json vj_yaml m)
# Who links the installed archive gets the libraries by name.
target_link_libraries(vitjit_picture PRIVATE $<BUILD_INTERFACE:vj_images> $<BUILD_INTERFACE:vj_json> $<BUILD_INTERFACE:vj_yaml>)
target_link_libraries(vitjit_picture INTERFACE "$<INSTALL_INTERFACE:jpeg;exif;spng;webpdemux;webp;cjson;yaml>" m)

add_library(vitjit_compiler MODULE $<TARGET_OBJECTS:vj_compiler>)
vj_common(vitjit_compiler)
target_link_libraries(vitjit_compiler PRIVATE vj_backend vj_passes vj_frontend vj_target vj_ir vj_onnx_schema
                      vj_llvm vj_protobuf vj_json Threads::Threads m)

# Whoever has libvitjit runs it.
add_executable(vitjit_compile ${PROJECT_SOURCE_DIR}/apart/main.c)
set_target_properties(vitjit_compile PROPERTIES OUTPUT_NAME vitjit-compile)
vj_common(vitjit_compile)
vj_see(vitjit_compile apart runtime)
target_link_libraries(vitjit_compile PRIVATE vj_apart vj_runtime vj_xxhash Threads::Threads m)
add_dependencies(vitjit vitjit_compile vitjit_compiler)

add_executable(vitjit_cli ${PROJECT_SOURCE_DIR}/cli/main.c)
set_target_properties(vitjit_cli PROPERTIES OUTPUT_NAME vitjit)
vj_common(vitjit_cli)
vj_see(vitjit_cli cli runtime pictures)
target_link_libraries(vitjit_cli PRIVATE vj_cli vitjit vj_json m)
