# Compiler, linker and cache: warnings are errors, ccache and mold are used where they are present.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(ANNEAL_CCACHE ccache)
if(ANNEAL_CCACHE)
  # Precompiled headers need these two to be cached.
  set(ccache_command ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${ANNEAL_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${ccache_command})
  set(CMAKE_C_COMPILER_LAUNCHER ${ccache_command})
endif()
find_program(ANNEAL_MOLD mold)
if(ANNEAL_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# What every target of ours is compiled with; third-party headers are SYSTEM and stay out of it.
# Kernels in .cu files are read by the emulation's C++ build with the same warnings, so nvcc need not repeat them.
add_library(anneal_flags INTERFACE)
set(cxx_options
  # What the compiler of the fuzz targets warns about beside this one is no reason to do without them.
  -Wall -Wextra -Wno-missing-field-initializers -Wconversion -Wno-sign-conversion -Wold-style-cast -Woverloaded-virtual -Wnon-virtual-dtor $<$<NOT:$<BOOL:${ANNEAL_FUZZ}>>:-Werror>
  # GCC 12 reports these falsely on std::string concatenation (its bug 105329).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread>
  -fno-omit-frame-pointer
  $<$<CXX_COMPILER_ID:GNU>:-fcoroutines -fpch-preprocess>)
target_compile_options(anneal_flags INTERFACE
  "$<$<COMPILE_LANGUAGE:C,CXX>:${cxx_options}>"
  "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;-Xcompiler=-Wall,-Wextra,-Wno-missing-field-initializers,-Wno-restrict,-fno-omit-frame-pointer>")
target_include_directories(anneal_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(anneal_flags INTERFACE BOOST_ASIO_NO_DEPRECATED)

if(ANNEAL_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(ANNEAL_SANITIZER)
  add_compile_options(-fsanitize=${ANNEAL_SANITIZER} -fno-sanitize-recover=all -g1)
  add_link_options(-fsanitize=${ANNEAL_SANITIZER})
  if(ANNEAL_SANITIZER STREQUAL "thread")
    # Asio's fences are not seen; its locks and atomics are.
    add_compile_options(-Wno-tsan)
  endif()
endif()
