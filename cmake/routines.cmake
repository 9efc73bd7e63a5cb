# SPDX-License-Identifier: Apache-2.0
# Freestanding C that is linked into generated code: each file of a folder becomes LLVM bitcode by clang-19, for every
# architecture that code is generated for, and is compiled into a target: `const unsigned char vj_bitcode_PREFIXNAME_ARCH[]`
# and `const size_t vj_bitcode_PREFIXNAME_ARCH_size`. As a script (cmake -P) it writes such an array; included, it gives vj_embed_routines.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${INPUT} bytes HEX)
  string(LENGTH "${bytes}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n"
                       bytes "${bytes}")
  file(WRITE ${OUTPUT} "#include <stddef.h>\nextern const unsigned char ${NAME}[];\nextern const size_t ${NAME}_size;\n"
                       "const unsigned char ${NAME}[] = {\n${bytes}};\nconst size_t ${NAME}_size = ${size};\n")
  return()
endif()

find_program(VJ_CLANG NAMES clang-19 REQUIRED)

# No calls that a library would have to answer, no tables of addresses, no unwinding, no fused operations but those written.
set(VJ_ROUTINE_FLAGS
    -std=c17 -O2 -ffreestanding -fno-builtin -fno-stack-protector -fno-unwind-tables
    -fno-asynchronous-unwind-tables -fno-jump-tables -fno-strict-aliasing -fwrapv -ffp-contract=off -fno-math-errno -Qn
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)

# vj_embed_routines(TARGET FOLDER [PREFIX TEXT] [FLAGS clang's, besides])
function(vj_embed_routines target folder)
  cmake_parse_arguments(arg "" "PREFIX" "FLAGS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.c)
  file(GLOB headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.h
       ${PROJECT_SOURCE_DIR}/include/*.h ${PROJECT_SOURCE_DIR}/include/*.def)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/embedded)
  foreach(source IN LISTS sources)
    get_filename_component(stem ${source} NAME_WE)
    foreach(arch x86_64 aarch64 riscv64 wasm32)
      # WebAssembly has neither the operating system nor position-independent code.
      set(machine --target=${arch}-unknown-linux-gnu -fPIC)
      if(arch STREQUAL wasm32)
        set(machine --target=wasm32-unknown-unknown)
      elseif(arch STREQUAL riscv64)
        list(APPEND machine -march=rv64gc -mabi=lp64d)
      endif()
      set(name vj_bitcode_${arg_PREFIX}${stem}_${arch})
      set(bitcode ${PROJECT_BINARY_DIR}/embedded/${name}.bc)
      add_custom_command(
        OUTPUT ${PROJECT_BINARY_DIR}/embedded/${name}.c
        COMMAND ${VJ_CLANG} ${machine} ${VJ_ROUTINE_FLAGS} ${arg_FLAGS} -emit-llvm -c ${source} -o ${bitcode}
        COMMAND ${CMAKE_COMMAND} -DINPUT=${bitcode} -DOUTPUT=${PROJECT_BINARY_DIR}/embedded/${name}.c -DNAME=${name} -P
                ${PROJECT_SOURCE_DIR}/cmake/routines.cmake
        DEPENDS ${source} ${headers} ${PROJECT_SOURCE_DIR}/cmake/routines.cmake
        VERBATIM)
      target_sources(${target} PRIVATE ${PROJECT_BINARY_DIR}/embedded/${name}.c)
    endforeach()
  endforeach()
endfunction()
