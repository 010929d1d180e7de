/* kcopyctl: the command line of kcopyd. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/interrupt.h"
#include "ctl/text.h"
#include "ctl/usage.h"

static enum ctl_status cmd_help(const struct ctl *ctl, int argc, char **argv);

static const struct ctl_command COMMANDS[] = {
    {"copy", cmd_copy, "copy a device to one or more others"},
    {"zero", cmd_zero, "zero one or more devices"},
    {"jobs", cmd_jobs, "list your jobs (root: everybody's)"},
    {"job", cmd_job, "show everything about a job"},
    {"watch", cmd_watch, "print what happens to jobs"},
    {"wait", cmd_wait, "wait until jobs have ended"},
    {"cancel", cmd_cancel, "ask for the end of jobs"},
    {"pause", cmd_pause, "have detached jobs stop where they are"},
    {"resume", cmd_resume, "have paused jobs go on"},
    {"adjust", cmd_adjust, "have detached jobs go on with another rate or priority"},
    {"forget", cmd_forget, "have the server forget detached jobs that have ended"},
    {"endpoints", cmd_endpoints, "list the devices that the server has names for"},
    {"info", cmd_info, "show what the server is and how busy"},
    {"help", cmd_help, "show this, or the options of a command"},
};
#define N_COMMANDS (sizeof(COMMANDS) / sizeof(COMMANDS[0]))

/* What is parsed before the command's own options. */
struct front {
        const struct ctl_command *command;
        int command_index; /* in argv */
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
        struct front *front = state->input;

        switch (key) {
        case ARGP_KEY_ARG:
                for (unsigned i = 0; i < N_COMMANDS; i++)
                        if (strcmp(COMMANDS[i].name, arg) == 0)
                                front->command = &COMMANDS[i];
                if (!front->command) {
                        argp_error(state, "%s: there is no such command", arg);
                        return EINVAL;
                }
                front->command_index = state->next - 1;
                state->next = state->argc; /* the rest is the command's */
                return 0;
        case ARGP_KEY_NO_ARGS:
                argp_error(state, "a command is needed");
                return EINVAL;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

/* The commands, behind the options. */
static char *help_filter(int key, const char *text, void *input)
{
        size_t bytes = 0;
        FILE *stream;
        char *help = NULL;

        if (key != ARGP_KEY_HELP_POST_DOC)
                return (char *)(uintptr_t)text;
        stream = open_memstream(&help, &bytes);
        if (!stream)
                return NULL;
        fputs("Commands:\n\n", stream);
        for (unsigned i = 0; i < N_COMMANDS; i++)
                fprintf(stream, "  %-11s%s\n", COMMANDS[i].name, COMMANDS[i].summary);
        fputs("\nkcopyctl COMMAND --help tells more.", stream);
        fclose(stream);
        return help;
}

static void parse(int argc, char **argv, struct front *front)
{
        static const struct argp_child CHILDREN[] = {{&usage_argp, 0, NULL, -1}, {0}};
        static const struct argp ARGP = {
            .parser = parse_option,
            .args_doc = "COMMAND [ARG...]",
            .doc = "Copy block devices over the network, and control kcopyd.\v ",
            .children = CHILDREN,
            .help_filter = help_filter,
        };

        usage_parse(&ARGP, argc, argv, true, NULL, front);
}

/* As with --help behind the command that is named, or before any. */
static enum ctl_status cmd_help(const struct ctl *ctl, int argc, char **argv)
{
        char *words[] = {"kcopyctl", argc > 1 ? argv[1] : "--help", "--help", NULL};
        struct front front = {0};
        char name[64];

        parse(argc > 1 ? 3 : 2, words, &front);
        if (front.command->run == cmd_help)
                return cmd_help(ctl, 1, words);
        snprintf(name, sizeof(name), "kcopyctl %s", front.command->name);
        words[1] = name;
        return front.command->run(ctl, 2, words + 1);
}

static enum ctl_status run(int argc, char **argv, struct ctl *ctl)
{
        struct front front = {0};
        enum ctl_status status;
        char name[64];

        usage_init(ctl);
        parse(argc, argv, &front);
        argc -= front.command_index;
        argv += front.command_index;
        snprintf(name, sizeof(name), "kcopyctl %s", front.command->name);
        argv[0] = name;
        status = front.command->run(ctl, argc, argv);
        if ((fflush(stdout) || ferror(stdout)) && status == CTL_DONE) {
                text_error("standard output", "not everything could be written");
                status = CTL_FAILED;
        }
        return status;
}

int main(int argc, char **argv)
{
        const char *server = getenv("KCOPYD_SERVER"), *reason;
        struct brackets brackets;
        struct ctl ctl = {.server = server && server[0] ? server : NULL, .brackets = &brackets};
        enum ctl_status status;
        int rc = interrupt_init();

        if (rc < 0) {
                text_error("signals", "%s", strerror(-rc));
                return CTL_NO_SERVER;
        }
        if (!brackets_init(&brackets, argc, argv, &reason)) {
                text_error("[", "%s", reason);
                fputs("Brackets are words of their own: kcopyctl copy [ COMMAND... ] DST\n"
                      "Try `kcopyctl copy --help' for more information.\n",
                    stderr);
                return CTL_USAGE;
        }
        status = run(brackets.argc, brackets.argv, &ctl);
        brackets_done(&brackets);
        return (int)status;
}
