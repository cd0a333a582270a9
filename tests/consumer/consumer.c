/* Uses the installed package as anybody would: prints its version, makes a context, and finds a
 * measure. */
#include <mpi.h>
#include <stdio.h>

#include <contrasim/contrasim.h>

int main(int argc, char **argv)
{
    csim_context *ctx = NULL;
    MPI_Init(&argc, &argv);
    csim_status st = csim_context_create(MPI_COMM_WORLD, &ctx);
    if (st == CSIM_OK && csim_measure_find("cka") == NULL) { st = CSIM_E_INTERNAL; }
    if (st == CSIM_OK) {
        printf("contrasim %s, rank %d of %d\n", csim_version(), csim_context_rank(ctx),
               csim_context_size(ctx));
    } else {
        fprintf(stderr, "%s\n", csim_status_text(st));
    }
    csim_context_free(&ctx);
    MPI_Finalize();
    return csim_status_exit_code(st);
}
