/* Help of the program and of its commands, man page, completion: all from the tables. */
#include <stdlib.h>
#include <string.h>

#include "app/app.h"
#include "app/machine.h"

/* Words of `text`, lines broken before column 80; `at` columns are taken on the first line, and
 * `indent` stay free on the others. */
static void print_paragraph(FILE *out, const char *text, int at, int indent)
{
    int column = at, fresh = 1; /* fresh: no word stands on this line */
    while (*text != '\0') {
        int length = (int)strcspn(text, " ");
        if (!fresh && column + 1 + length > 80) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
            fresh = 1;
        }
        column += fprintf(out, "%s%.*s", fresh ? "" : " ", length, text);
        fresh = 0;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void csim__print_usage(FILE *out)
{
    fputs("usage: contrasim COMMAND [OPTION]... [SET]...\n"
          "       mpirun -n P contrasim COMMAND [OPTION]... [SET]...\n\n",
          out);
    print_paragraph(out,
                    "Compare neural representations at cluster scale: the activations of "
                    "networks go in, every requested similarity measure for every pair of "
                    "layers comes out.",
                    0, 0);
    fputs("\nCommands:\n", out);
    for (int i = 0; csim__commands[i] != NULL; i++) {
        fprintf(out, "  %-12s %s\n", csim__commands[i]->name, csim__commands[i]->brief);
    }
    fputs("\nHelp of a command: contrasim COMMAND --help\n"
          "Also: contrasim --help, --version, --man, --completion bash\n\n"
          "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but some pairs failed\n",
          out);
}

void csim__print_versions(FILE *out)
{
    fprintf(out, "contrasim %s\n", csim_version());
    csim__print_libraries(out);
}

/* Do something with the configuration of a command in its default state. */
static csim_status with_config(csim_context *ctx, const csim__command *command, FILE *out,
                               void (*print)(const csim__config *, FILE *))
{
    csim__common common;
    csim__config *config = NULL;
    void *options = NULL;
    csim_status st = CSIM_OK;
    CSIM_TRY(csim__calloc(ctx, 1, command->options_size, "options", &options));
    CSIM_TRY(csim__command_config(ctx, command, options, &common, &config));
    print(config, out);
done:
    csim__config_free(&config);
    csim__free(ctx, &options);
    return st;
}

static void print_item(FILE *out, const char *name, const char *text)
{
    if (text[0] == '\0') {
        fprintf(out, "\n%s:\n", name);
    } else {
        print_paragraph(out, text, fprintf(out, "  %-18s ", name), 21);
    }
}

static void print_man_item(FILE *out, const char *name, const char *text)
{
    fputs(text[0] != '\0' ? ".TP\n.B " : ".PP\n.I ", out);
    csim__print_troff(out, name);
    fputc('\n', out);
    csim__print_troff(out, text);
    if (text[0] != '\0') { fputc('\n', out); }
}

csim_status csim__print_command_help(csim_context *ctx, const csim__command *command, FILE *out)
{
    fprintf(out, "usage: contrasim %s [OPTION]...%s%s\n\n", command->name,
            command->usage[0] != '\0' ? " " : "", command->usage);
    print_paragraph(out, command->details, 0, 0);
    if (command->more != NULL) { command->more(print_item, out); }
    return with_config(ctx, command, out, csim__config_print_help);
}

csim_status csim__print_man(csim_context *ctx, FILE *out)
{
    fprintf(out, ".TH CONTRASIM 1 \"\" \"contrasim %s\" \"User Commands\"\n", csim_version());
    fputs(".SH NAME\ncontrasim \\- compare neural representations at cluster scale\n"
          ".SH SYNOPSIS\n.B contrasim\n.I COMMAND\n[\\fIOPTION\\fR]... [\\fISET\\fR]...\n.br\n"
          ".B mpirun \\-n\n.I P\n.B contrasim\n.I COMMAND\n[\\fIOPTION\\fR]... [\\fISET\\fR]...\n"
          ".SH DESCRIPTION\nA set is the activations of one network: a file, a folder or a quoted\n"
          "glob, optionally \\fIname\\fR=\\fIpath\\fR. Options come from their defaults, then from "
          "a\n"
          "run file (\\fB\\-c\\fR), then from the command line; a later one wins. In a run file\n"
          "the options of a command stand in the section of its name, those of a measure in\n"
          "the section of the measure.\n.SH COMMANDS\n",
          out);
    for (int i = 0; csim__commands[i] != NULL; i++) {
        const csim__command *command = csim__commands[i];
        fprintf(out, ".SS %s ", command->name);
        csim__print_troff(out, command->usage);
        fputs("\n", out);
        csim__print_troff(out, command->details);
        fputs("\n", out);
        if (command->more != NULL) { command->more(print_man_item, out); }
        csim_status st = with_config(ctx, command, out, csim__config_print_man);
        if (st != CSIM_OK) { return st; }
    }
    fputs(".SH EXIT STATUS\n.TP\n0\nDone.\n.TP\n1\nFailed.\n.TP\n2\nWrong usage.\n.TP\n3\n"
          "Done, but some pairs failed.\n",
          out);
    return CSIM_OK;
}

/* What follows the names of commands and options: values of choices, names of measures (joined by
 * commas), else files. */
static const char completion_end[] =
    "    esac\n"
    "    case ${COMP_WORDS[1]}:$before in\n"
    "    *:--measures|sweep:-m|*:--measure)\n"
    "        local front=\n"
    "        if [[ $word == *,* ]]; then front=${word%,*},; fi\n"
    "        COMPREPLY=($(compgen -P \"$front\" -W \"$measures\" -- \"${word##*,}\"))\n"
    "        return ;;\n"
    "    esac\n"
    "    if [ -n \"$values\" ]; then\n"
    "        COMPREPLY=($(compgen -W \"$values\" -- \"$word\"))\n"
    "    elif [[ $word == -* ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
    "    else\n"
    "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
    "    fi\n}\n"
    "complete -o filenames -F _contrasim contrasim\n";

csim_status csim__print_completion(csim_context *ctx, FILE *out)
{
    csim_status st = CSIM_OK;
    fputs("# bash completion of contrasim\n_contrasim()\n{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    local options= values= measures='all",
          out);
    for (int i = 0; i < csim_measure_count(); i++) {
        fprintf(out, " %s", csim_measure_get(i)->name);
    }
    fputs("'\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        COMPREPLY=($(compgen -W '",
          out);
    for (int i = 0; csim__commands[i] != NULL; i++) {
        fprintf(out, "%s ", csim__commands[i]->name);
    }
    fputs("--help --version --man --completion' -- \"$word\"))\n        return\n    fi\n"
          "    if [ \"$word\" = = ]; then word= # --option=value is three words\n"
          "    elif [ \"$before\" = = ]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
          "    case ${COMP_WORDS[1]} in\n",
          out);
    for (int i = 0; csim__commands[i] != NULL; i++) {
        fprintf(out, "    %s) options='--help ", csim__commands[i]->name);
        CSIM_TRY(with_config(ctx, csim__commands[i], out, csim__config_print_words));
        fputs("' ;;\n", out);
    }
    fputs("    esac\n    case ${COMP_WORDS[1]}:$before in\n", out);
    for (int i = 0; csim__commands[i] != NULL; i++) {
        CSIM_TRY(with_config(ctx, csim__commands[i], out, csim__config_print_values));
    }
    fputs(completion_end, out);
done:
    return st;
}
