# add_module(NAME SOURCES ... DEPENDS ... [PUBLIC_LIBRARIES ...] [LIBRARIES ...])
#   One static library of the house. DEPENDS are our own targets (public), LIBRARIES third-party ones that only
#   the .cpp files see, PUBLIC_LIBRARIES those that its headers include.
# add_program(NAME SOURCES ... DEPENDS ... [LIBRARIES ...])
# add_room_test(NAME SOURCES ... DEPENDS ... [LABELS ...])
#   One GoogleTest program; every case becomes a ctest entry of its own. A case is labelled by its suite's suffix:
#   suites ending in Db, Golden, RealData, Kill, EndToEnd, Bench, Browser, Fuzz or Peer get that label, all others
#   `unit`. Bench runs while nothing else does.
# add_labelled_test(NAME LABEL SOURCES ... DEPENDS ... [LIBRARIES ...])
#   The same with one label for all cases, by which their names in ctest begin: sources that another program has too.
function(add_module name)
  cmake_parse_arguments(MODULE "" "" "SOURCES;DEPENDS;LIBRARIES;PUBLIC_LIBRARIES" ${ARGN})
  add_library(${name} STATIC ${MODULE_SOURCES})
  target_link_libraries(${name} PUBLIC anneal_flags ${MODULE_DEPENDS} ${MODULE_PUBLIC_LIBRARIES} PRIVATE ${MODULE_LIBRARIES})
  anneal_precompile(${name})
endfunction()

function(add_program name)
  cmake_parse_arguments(PROGRAM "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  add_executable(${name} ${PROGRAM_SOURCES})
  target_link_libraries(${name} PRIVATE anneal_flags ${PROGRAM_DEPENDS} ${PROGRAM_LIBRARIES})
  anneal_precompile(${name})
endfunction()

function(anneal_precompile name)
  if(ANNEAL_PRECOMPILED_HEADERS)
    target_precompile_headers(${name} PRIVATE
      <algorithm> <array> <chrono> <cmath> <cstdint> <filesystem> <functional> <map> <memory> <mutex> <optional>
      <span> <stdexcept> <string> <string_view> <thread> <unordered_map> <utility> <variant> <vector>)
  endif()
endfunction()

function(add_test_program name)
  cmake_parse_arguments(TEST "" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE anneal_flags ${TEST_DEPENDS} ${TEST_LIBRARIES} GTest::gtest_main)
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-O1>)
  if(ANNEAL_SANITIZER)
    # GCC 12 under a sanitizer sees uninitialised parts in the standard library's regular expressions.
    target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  endif()
  anneal_precompile(${name})
endfunction()

function(add_labelled_test name label)
  add_test_program(${name} ${ARGN})
  anneal_discover(${name} ${label} "*" "${label}/")
endfunction()

function(add_room_test name)
  add_test_program(${name} ${ARGN})
  set(suffixes Db Golden RealData Kill EndToEnd Bench Browser Fuzz Peer)
  set(labels db golden real-data kill e2e bench browser fuzz peer)
  set(labelled "")
  foreach(suffix label IN ZIP_LISTS suffixes labels)
    # The pattern is a gtest filter: SuiteSuffix.* plain and Instance/SuiteSuffix.*/* parameterised.
    anneal_discover(${name} ${label} "*${suffix}.*:*${suffix}/*.*")
    list(APPEND labelled "*${suffix}.*" "*${suffix}/*.*")
  endforeach()
  list(JOIN labelled ":" excluded)
  anneal_discover(${name} unit "-${excluded}")
endfunction()

function(anneal_discover name label filter)
  set(prefix ${ARGN})
  set(timeout 120)
  if(label MATCHES "^(bench|kill|e2e|browser|real-data|peer)$")
    set(timeout 1500)
  endif()
  if(ANNEAL_SANITIZER)
    math(EXPR timeout "5 * ${timeout}")
  endif()
  set(alone FALSE)
  if(label STREQUAL "bench")
    set(alone TRUE)
  endif()
  set(reports "LSAN_OPTIONS=set:suppressions=${PROJECT_SOURCE_DIR}/tests/support/leaks.txt")
  if(ANNEAL_SANITIZER STREQUAL "thread")
    set(reports "TSAN_OPTIONS=set:halt_on_error=1:suppressions=${PROJECT_SOURCE_DIR}/tests/support/races.txt")
  endif()
  gtest_discover_tests(${name}
    TEST_FILTER "${filter}"
    TEST_PREFIX "${prefix}"
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS ${label} TIMEOUT ${timeout} RUN_SERIAL ${alone} SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]"
      # One variable a property: a list is cut apart on its way. The working directory is the source tree.
      ENVIRONMENT "ANNEAL_BIN=${PROJECT_BINARY_DIR}/bin"
      ENVIRONMENT_MODIFICATION "${reports}")
endfunction()
