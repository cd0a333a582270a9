/* The job script of a plan: the sweep as planned, which goes on where its time limit, or the loss of
 * a node, stopped it. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "app/machine.h"
#include "app/plan/plan.h"
#include "io/file.h"

/* What stands behind the lines for SLURM and the command. */
static const char body[] =
    "\n"
    "most=${CONTRASIM_RESTARTS:-50} # how often the job may go back into the queue\n"
    "export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}\n"
    "\n"
    "# The signal that comes before the limit goes on to all ranks: they save what is done and "
    "end\n"
    "# with 85.\n"
    "process='' signals=0\n"
    "hand_on() {\n"
    "  signals=$((signals + 1))\n"
    "  [ -z \"$process\" ] || kill -USR1 \"$process\" 2>/dev/null\n"
    "}\n"
    "trap hand_on USR1 TERM\n"
    "\n"
    "said=$(mktemp) || exit 1\n"
    "srun --mpi=pmix --wait=60 \"${sweep[@]}\" >\"$said\" &\n"
    "process=$!\n"
    "while :; do # a signal ends the wait, not the program\n"
    "  seen=$signals\n"
    "  wait \"$process\"\n"
    "  code=$?\n"
    "  [ \"$signals\" -ne \"$seen\" ] || break\n"
    "done\n"
    "cat \"$said\"\n"
    "# srun ends with 0 also where a step could not start: then the program has said nothing.\n"
    "if [ \"$code\" -eq 0 ] && [ ! -s \"$said\" ]; then\n"
    "  echo 'the sweep has not said that it wrote its output: submit the job again' >&2\n"
    "  code=1\n"
    "fi\n"
    "rm -f \"$said\"\n"
    "# Before it reads its sets, the program still dies of SIGUSR1; nothing is lost.\n"
    "if [ \"$code\" -eq 138 ] && [ \"$signals\" -gt 0 ]; then code=85; fi\n"
    "[ \"$code\" -eq 85 ] || exit \"$code\"\n"
    "\n"
    "# Stopped early, all saved: back into the queue, but neither for ever nor against a scancel.\n"
    "if [ \"${SLURM_RESTART_COUNT:-0}\" -ge \"$most\" ]; then\n"
    "  echo \"stopped after $most restarts; submit the job again to go on\" >&2\n"
    "  exit 1\n"
    "fi\n"
    "state=$(squeue --noheader --jobs=\"$SLURM_JOB_ID\" --format=%T)\n"
    "if [ \"$state\" != RUNNING ]; then\n"
    "  echo \"the job is ${state:-gone}: it does not go back into the queue\" >&2\n"
    "  exit 1\n"
    "fi\n"
    "scontrol requeue \"$SLURM_JOB_ID\" && exec sleep 600 # SLURM ends it\n"
    "exit 85\n";

/* Twice the longest time that is foretold, in steps of ten minutes. */
static int64_t minutes(const csim__outlook *w)
{
    double low, high;
    csim__outlook_range(w, &w->forecast, &low, &high);
    return 10 * (int64_t)ceil(fmin(fmax(2 * high / 600, 1), 6 * 24 * 30));
}

/* Mebibytes of a node: what was said, else what the ranks need with the rest beside them. */
static int64_t mebibytes(const csim__outlook *w)
{
    int64_t given = w->options->node_memory;
    int per_node = csim__per_node(w->ranks, w->target.nodes);
    double share = (double)csim__rank_share(INT64_C(1) << 40, 1) / 0x1p40;
    double bytes = given > 0
                       ? (double)given
                       : fmax((double)w->forecast.peak, (double)w->rank_memory) * per_node / share;
    return (int64_t)ceil(bytes / 1048576) + (given > 0 ? 0 : 256 * per_node);
}

static void print_script(const csim__app *app, const csim__outlook *w, FILE *out)
{
    const csim__plan_options *o = w->options;
    int64_t time = minutes(w);
    fprintf(
        out,
        "#!/bin/bash\n"
        "# A sweep on %d ranks, as planned by contrasim %s. Submit it in the folder that the "
        "names\n"
        "# of the files are meant from: sbatch %s. The same again goes on from what is saved.\n",
        w->ranks, csim_version(), o->sbatch);
    fprintf(out, "#SBATCH --job-name=contrasim\n#SBATCH --nodes=%d\n#SBATCH --ntasks=%d\n",
            w->target.nodes, w->ranks);
    fprintf(out, "#SBATCH --ntasks-per-node=%d\n#SBATCH --cpus-per-task=%d\n",
            csim__per_node(w->ranks, w->target.nodes), w->threads);
    fprintf(out, "#SBATCH --mem=%" PRId64 "M\n#SBATCH --time=%02" PRId64 ":%02" PRId64 ":00\n",
            mebibytes(w), time / 60, time % 60);
    fputs("# Two minutes before the limit, or up to one minute earlier, SIGUSR1 comes to this "
          "script.\n"
          "#SBATCH --signal=B:USR1@120\n#SBATCH --requeue\n#SBATCH --open-mode=append\n"
          "#SBATCH --output=%x-%j.log\nset -u\n"
          "# The modules of your cluster go here: module load openmpi netcdf\n"
          "sweep=(contrasim sweep",
          out);
    for (int i = 0; i < o->sweep.sets.count; i++) {
        fputc(' ', out);
        csim__shell_word(o->sweep.sets.text[i], out);
    }
    csim__config_line(app->config, "set", out);
    if (o->part != NULL) { fprintf(out, " --part %s", o->part); }
    if (o->memory > 0) { fprintf(out, " --memory %" PRId64, o->memory); }
    fputs(" --output ", out);
    csim__shell_word(o->output, out);
    fputs(" --resume)\n", out);
    fputs(body, out);
}

csim_status csim__outlook_script(const csim__app *app, const csim__outlook *w)
{
    csim_context *ctx = app->ctx;
    char *buffer = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&buffer, &length);
    csim_status st = CSIM_OK;
    if (out == NULL) { return csim__fail(ctx, CSIM_E_MEM, "the job script: out of memory"); }
    print_script(app, w, out);
    int failed = ferror(out);
    if (fclose(out) != 0 || failed) {
        st = csim__fail(ctx, CSIM_E_MEM, "the job script: out of memory");
    } else {
        st = csim__file_replace(ctx, w->options->sbatch, buffer, (int64_t)length,
                                w->options->overwrite);
    }
    free(buffer);
    return st;
}
