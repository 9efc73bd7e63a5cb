/* SPDX-License-Identifier: Apache-2.0 */
/* shells.c - completions for bash, zsh and fish. An option's value is one of its words, a file, a folder, or nothing that
 * can be guessed.
 */
#include "manual.h"

#include <string.h>

typedef enum value_kind { NO_VALUE, WORDS, A_FILE, A_FOLDER, ANYTHING } value_kind;

static value_kind value_of(const vj_option *o) {
    if (o->kind == FLAG || o->kind == MAYBE || o->kind == MODE || o->kind == EMIT || o->kind == BENCH || !o->value)
        return NO_VALUE;
    if (o->kind == CHOICE || o->kind == CHOICES) return WORDS;
    if (strstr(o->value, "FILE") || strstr(o->value, "PATH")) return A_FILE;
    return strcmp(o->value, "DIR") == 0 ? A_FOLDER : ANYTHING;
}

/* The words of a choice, parted by spaces. */
static void put_words(FILE *out, const vj_option *o) {
    for (const char *at = o->value; *at; at++)
        fputc(*at == '|' ? ' ' : *at, out);
}

/* In single quotes; zsh's specs also want a colon and brackets to be escaped, fish's a backslash. */
static void put_quoted(FILE *out, const char *text, const char *escaped) {
    for (; *text; text++) {
        if (*text == '\'') {
            fputs("'\\''", out);
            continue;
        }
        if (strchr(escaped, *text)) fputc('\\', out);
        fputc(*text, out);
    }
}

static const char *about(const vj_option *table, int32_t i) {
    while (i > 0 && !table[i].about)
        i--;
    return table[i].name ? table[i].about : table[i + 1].name;
}

void vj_write_bash(FILE *out) {
    int32_t rows;
    const vj_option *table = vj_option_table(&rows);
    fputs("# bash completion for vitjit\n"
          "_vitjit() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    COMPREPLY=()\n"
          "    if [[ ${COMP_WORDS[1]} == cache && $COMP_CWORD -eq 2 ]]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W 'ls verify prune rm' -- \"$cur\")\n"
          "        return\n"
          "    fi\n"
          "    case $prev in\n",
          out);
    for (int32_t i = 0; i < rows; i++) {
        const vj_option *o = &table[i];
        const value_kind kind = o->name ? value_of(o) : NO_VALUE;
        if (kind == NO_VALUE) continue;
        fprintf(out, "    %s", o->name);
        if (o->letter) fprintf(out, " | -%c", o->letter);
        fputs(")\n        ", out);
        if (kind == WORDS) {
            fputs("mapfile -t COMPREPLY < <(compgen -W '", out);
            put_words(out, o);
            fputs("' -- \"$cur\")", out);
        } else if (kind == A_FILE) {
            fputs("compopt -o default", out);
        } else {
            fputs(kind == A_FOLDER ? "mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")" : ":", out);
        }
        fputs("\n        return\n        ;;\n", out);
    }
    fputs("    esac\n"
          "    if [[ $cur == -* ]]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W '",
          out);
    for (int32_t i = 0; i < rows; i++)
        if (table[i].name) fprintf(out, "%s ", table[i].name);
    fputs("' -- \"$cur\")\n"
          "        return\n"
          "    fi\n"
          "    [[ $COMP_CWORD -gt 1 ]] || mapfile -t COMPREPLY < <(compgen -W 'cache targets' -- \"$cur\")\n"
          "    compopt -o default\n"
          "}\n"
          "complete -F _vitjit vitjit\n",
          out);
}

/* 'spec[what it does]:value:action' */
static void put_zsh_spec(FILE *out, const vj_option *table, int32_t i, const char *name) {
    const vj_option *o = &table[i];
    const value_kind kind = value_of(o);
    fprintf(out, "    '%s%s%s[", o->kind == LIST ? "*" : "", name, kind == NO_VALUE || name[1] != '-' ? "" : "=");
    put_quoted(out, about(table, i), "[]:\\");
    fputc(']', out);
    if (kind != NO_VALUE) {
        fputc(':', out);
        put_quoted(out, o->value, "[]:\\");
        fputc(':', out);
        if (kind == WORDS) {
            fputc('(', out);
            put_words(out, o);
            fputc(')', out);
        } else if (kind != ANYTHING) {
            fputs(kind == A_FILE ? "_files" : "_files -/", out);
        }
    }
    fputs("' \\\n", out);
}

void vj_write_zsh(FILE *out) {
    int32_t rows;
    const vj_option *table = vj_option_table(&rows);
    fputs("#compdef vitjit\n_arguments -s \\\n", out);
    for (int32_t i = 0; i < rows; i++) {
        if (!table[i].name) continue;
        const char letter[] = {'-', table[i].letter, 0};
        if (table[i].letter) put_zsh_spec(out, table, i, letter);
        put_zsh_spec(out, table, i, table[i].name);
    }
    fputs("    '*:model or picture:_files'\n", out);
}

void vj_write_fish(FILE *out) {
    int32_t rows;
    const vj_option *table = vj_option_table(&rows);
    fputs("# fish completion for vitjit\n"
          "complete -c vitjit -n '__fish_use_subcommand' -a 'cache targets'\n"
          "complete -c vitjit -n '__fish_seen_subcommand_from cache' -f -a 'ls verify prune rm'\n",
          out);
    for (int32_t i = 0; i < rows; i++) {
        const vj_option *o = &table[i];
        if (!o->name) continue;
        const value_kind kind = value_of(o);
        fprintf(out, "complete -c vitjit -l %s", o->name + 2);
        if (o->letter) fprintf(out, " -s %c", o->letter);
        if (kind == WORDS) {
            fputs(" -x -a '", out);
            put_words(out, o);
            fputc('\'', out);
        } else if (kind != NO_VALUE) {
            fputs(kind == A_FILE ? " -r" : kind == A_FOLDER ? " -x -a '(__fish_complete_directories)'" : " -x", out);
        }
        fputs(" -d '", out);
        put_quoted(out, about(table, i), "\\");
        fputs("'\n", out);
    }
}
