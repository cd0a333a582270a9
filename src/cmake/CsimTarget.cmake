# csim_target(target): language level, warnings and instrumentation that every target shares.

set(CSIM_WARNINGS -Wall -Wextra -Wshadow -Wstrict-prototypes -Wvla)

function(csim_target target)
  # -ffp-contract=off: a fused multiply-add chosen by the compiler would change the last bits of a
  # result from one compiler or option to the next.
  # -O3 also with debug information: what is tested and measured is what Release runs.
  target_compile_options(${target} PRIVATE ${CSIM_WARNINGS} -ffp-contract=off
                                           $<$<CONFIG:RelWithDebInfo>:-O3>
                                           $<$<BOOL:${CONTRASIM_WERROR}>:-Werror>)
  set_target_properties(${target} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
                                             POSITION_INDEPENDENT_CODE ON)
  if(CONTRASIM_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${CONTRASIM_SANITIZE}
                                             -fno-sanitize-recover=all -fno-omit-frame-pointer)
    get_target_property(type ${target} TYPE)
    if(type STREQUAL "STATIC_LIBRARY" OR type STREQUAL "SHARED_LIBRARY")
      target_link_options(${target} PUBLIC $<BUILD_INTERFACE:-fsanitize=${CONTRASIM_SANITIZE}>)
    else()
      target_link_options(${target} PRIVATE -fsanitize=${CONTRASIM_SANITIZE})
    endif()
  endif()
  if(CONTRASIM_COVERAGE)
    target_compile_options(${target} PRIVATE --coverage)
    target_link_options(${target} PRIVATE --coverage)
  endif()
endfunction()
