# csim_add_mpi_test(): a cmocka program run at several rank counts.
# csim_add_script_test(): a script that drives the built program.
# csim_add_fuzz_target(): a libFuzzer target, started on the corpus kept for it.
#
# Every test runs in an emptied folder of its own, work/<test>, with what tests/env.sh puts into the
# environment; exit code 77 says "skipped".

set(CSIM_TESTS "${PROJECT_SOURCE_DIR}/tests")
find_program(CONTRASIM_VALGRIND NAMES valgrind)
find_file(CSIM_VALGRIND_SUPPRESSIONS openmpi-valgrind.supp
  PATHS /usr/share/openmpi /usr/local/share/openmpi)
mark_as_advanced(CONTRASIM_VALGRIND CSIM_VALGRIND_SUPPRESSIONS)

# csim_add_test(name timeout processes LABELS l… COMMAND c… [WAITS]): what every test gets. mpirun
# gives up a few seconds before CTest does: a deadlock ends in a message and leaves no process behind.
# A test takes the places of its processes, or of all cores; with WAITS it takes one, as most of its
# time passes in waiting for a clock.
cmake_host_system_information(RESULT CSIM_CORES QUERY NUMBER_OF_LOGICAL_CORES)
function(csim_add_test name timeout processes)
  cmake_parse_arguments(PARSE_ARGV 3 arg "WAITS" "" "LABELS;COMMAND")
  set(places ${processes})
  if(arg_WAITS)
    set(places 1)
  elseif(places GREATER CSIM_CORES)
    set(places ${CSIM_CORES})
  endif()
  if(CONTRASIM_SANITIZE)
    math(EXPR timeout "4 * ${timeout}")
  endif()
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/work/${name}")
  file(MAKE_DIRECTORY "${folder}")
  math(EXPR mpi_timeout "${timeout} - 5")
  add_test(NAME ${name} WORKING_DIRECTORY "${folder}" COMMAND ${arg_COMMAND})
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${timeout}
    PROCESSORS ${places}
    SKIP_RETURN_CODE 77
    LABELS "${arg_LABELS}"
    ENVIRONMENT "MPIEXEC_TIMEOUT=${mpi_timeout};CONTRASIM_BIN=${PROJECT_BINARY_DIR}/bin/contrasim;\
CONTRASIM_MPIRUN=${MPIEXEC_EXECUTABLE};CONTRASIM_BUILD=${PROJECT_BINARY_DIR}")
endfunction()

# csim_add_mpi_test(test_x RANKS 1 2 3 4 [LABELS l…] [SOURCES x.c…] [LIBRARIES lib…]
#                   [TIMEOUT seconds] [VALGRIND] [WAITS])
# Builds test_x from test_x.c and SOURCES, adds test_x_np1, test_x_np2, … and, where asked for and
# possible, test_x_valgrind at one rank.
function(csim_add_mpi_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "VALGRIND;WAITS" "TIMEOUT" "RANKS;LABELS;SOURCES;LIBRARIES")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_RANKS)
    message(FATAL_ERROR "csim_add_mpi_test(${name}): needs RANKS; not understood: "
                        "'${arg_UNPARSED_ARGUMENTS}'")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 480)
  endif()
  set(waits "")
  if(arg_WAITS)
    set(waits WAITS)
  endif()
  add_executable(${name} ${name}.c ${arg_SOURCES})
  csim_target(${name})
  target_include_directories(${name} PRIVATE "${CSIM_TESTS}")
  target_link_libraries(${name} PRIVATE contrasim_private PkgConfig::CMOCKA ${arg_LIBRARIES})
  foreach(ranks IN LISTS arg_RANKS)
    csim_add_test(${name}_np${ranks} ${arg_TIMEOUT} ${ranks} ${waits} LABELS mpi ${arg_LABELS}
      COMMAND "${CSIM_TESTS}/mpiexec.sh" --fresh ${ranks} $<TARGET_FILE:${name}>)
  endforeach()
  if(arg_VALGRIND AND CONTRASIM_TESTS_FULL AND CONTRASIM_VALGRIND AND NOT CONTRASIM_SANITIZE)
    set(suppressions "--suppressions=${CSIM_TESTS}/valgrind.supp")
    if(CSIM_VALGRIND_SUPPRESSIONS)
      list(APPEND suppressions "--suppressions=${CSIM_VALGRIND_SUPPRESSIONS}")
    endif()
    math(EXPR timeout "4 * ${arg_TIMEOUT}")
    csim_add_test(${name}_valgrind ${timeout} 1 LABELS valgrind ${arg_LABELS}
      COMMAND "${CSIM_TESTS}/mpiexec.sh" --fresh 1 "${CONTRASIM_VALGRIND}" --quiet --error-exitcode=99
              --num-callers=40 --leak-check=full --errors-for-leak-kinds=definite --show-leak-kinds=definite
              ${suppressions} $<TARGET_FILE:${name}>)
  endif()
endfunction()

# csim_add_script_test(name COMMAND script arg… [RANKS most] [LABELS l…] [TIMEOUT seconds] [WAITS])
# A script of tests/, started by tests/script.sh: *.py under CONTRASIM_PYTHON, *.sh under bash.
# RANKS is the largest number of processes it starts at a time.
function(csim_add_script_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "WAITS" "TIMEOUT;RANKS" "COMMAND;LABELS")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_COMMAND)
    message(FATAL_ERROR "csim_add_script_test(${name}): needs COMMAND; not understood: "
                        "'${arg_UNPARSED_ARGUMENTS}'")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(NOT arg_RANKS)
    set(arg_RANKS 1)
  endif()
  set(waits "")
  if(arg_WAITS)
    set(waits WAITS)
  endif()
  csim_add_test(${name} ${arg_TIMEOUT} ${arg_RANKS} ${waits} LABELS script ${arg_LABELS}
    COMMAND "${CSIM_TESTS}/script.sh" ${arg_COMMAND})
endfunction()

# csim_add_fuzz_target(fuzz_x [SOURCES x.c…]): a program from fuzz/fuzz_x.c, which defines
# LLVMFuzzerTestOneInput(). Built with CONTRASIM_FUZZ only. The full test tree runs it for
# CONTRASIM_FUZZ_SECONDS, starting from fuzz/corpus/<x>, in the sanitized build.
set(CONTRASIM_FUZZ_SECONDS 30 CACHE STRING "How long one fuzz test runs")
function(csim_add_fuzz_target name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES")
  if(CONTRASIM_FUZZ)
    add_executable(${name} fuzz/${name}.c ${arg_SOURCES})
    csim_target(${name})
    target_include_directories(${name} PRIVATE "${CSIM_TESTS}")
    target_link_libraries(${name} PRIVATE contrasim_private)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  elseif(CONTRASIM_TESTS_FULL)
    string(REGEX REPLACE "^fuzz_" "" corpus ${name})
    math(EXPR timeout "${CONTRASIM_FUZZ_SECONDS} + 90")
    csim_add_test(${name} ${timeout} 1 LABELS fuzz
      COMMAND "${CSIM_TESTS}/fuzz.sh" "${PROJECT_BINARY_DIR}/sanitize/tests/${name}"
              "${CSIM_TESTS}/fuzz/corpus/${corpus}" ${CONTRASIM_FUZZ_SECONDS})
    set_tests_properties(${name} PROPERTIES FIXTURES_REQUIRED sanitize)
  endif()
endfunction()
