# FindScaLAPACK: ScaLAPACK with its BLACS, for the MPI in use.
#
# Looks at ScaLAPACK_ROOT, then at what pkg-config says, then at the usual library names. Package
# configuration files of ScaLAPACK itself are not used: some distributions ship one that names a
# library which is somewhere else and so stops the configure.
#
# Set:      ScaLAPACK_LIBRARIES  the libraries to link, where the guess is wrong (MKL, Cray)
# Results:  ScaLAPACK_FOUND, target ScaLAPACK::ScaLAPACK (carries MPI, LAPACK and BLAS)

include(FindPackageHandleStandardArgs)
include(CheckSourceCompiles)
include(CMakePushCheckState)

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_search_module(PC_ScaLAPACK QUIET scalapack-openmpi scalapack-mpich scalapack)
endif()

if(NOT ScaLAPACK_LIBRARIES)
  find_library(ScaLAPACK_LIBRARY
    NAMES scalapack-openmpi scalapack-mpich scalapack sci_gnu_mpi
    HINTS ${PC_ScaLAPACK_LIBRARY_DIRS} ${PC_ScaLAPACK_LIBDIR})
  mark_as_advanced(ScaLAPACK_LIBRARY)
  set(ScaLAPACK_LIBRARIES "${ScaLAPACK_LIBRARY}")
endif()

if(ScaLAPACK_LIBRARIES AND TARGET MPI::MPI_C AND TARGET LAPACK::LAPACK)
  cmake_push_check_state(RESET)
  set(CMAKE_REQUIRED_LIBRARIES ${ScaLAPACK_LIBRARIES} LAPACK::LAPACK BLAS::BLAS MPI::MPI_C m)
  check_source_compiles(C "
    int numroc_(const int *, const int *, const int *, const int *, const int *);
    void pdgesvd_(void);
    int Csys2blacs_handle(int);
    int main(void)
    {
        int n = 5, b = 2, me = 0, src = 0, p = 1;
        void (*volatile svd)(void) = pdgesvd_;
        int (*volatile handle)(int) = Csys2blacs_handle;
        return numroc_(&n, &b, &me, &src, &p) != n || !svd || !handle;
    }" ScaLAPACK_LINKS)
  cmake_pop_check_state()
endif()

find_package_handle_standard_args(ScaLAPACK
  REQUIRED_VARS ScaLAPACK_LIBRARIES ScaLAPACK_LINKS
  VERSION_VAR PC_ScaLAPACK_VERSION)

if(ScaLAPACK_FOUND AND NOT TARGET ScaLAPACK::ScaLAPACK)
  add_library(ScaLAPACK::ScaLAPACK INTERFACE IMPORTED)
  target_link_libraries(ScaLAPACK::ScaLAPACK
    INTERFACE ${ScaLAPACK_LIBRARIES} LAPACK::LAPACK BLAS::BLAS MPI::MPI_C)
endif()
