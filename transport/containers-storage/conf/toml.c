/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/containers-storage/conf/toml.h"

#include "splitfdstream/base/cleanup.h"
#include "splitfdstream/base/text.h"
#include "transport/containers-storage/conf/toml-string.h"

#include <string.h>

#define STRING_SIZE_MAX ((size_t)1024 * 1024)
#define ITEMS_MAX	10000
#define NESTING_MAX	8
#define KEY_SIZE_MAX	1024
#define TABLES_SIZE_MAX ((size_t)64 * 1024)

/* Where a value goes, or a table's pairs; the key is borrowed. */
struct place {
	const char *key;
	unsigned int parts;    /* of the key */
	unsigned int elements; /* arrays of tables around it */
	int depth;	       /* of inline tables */
};

struct parser {
	struct sfd_toml_cursor at;
	const char *file;
	struct sfd_buffer name;	    /* the current [table]'s, with a NUL */
	struct place table;	    /* the same, for what it holds */
	unsigned int last_elements; /* 1: there was a [[registry]], 2: the last has a mirror */
	bool whole[2];		    /* these arrays of tables were written as a value */
	struct sfd_buffer seen;	    /* all tables, each with a NUL */
	sfd_toml_set *set;
	void *ctx;
	struct splitfd_error *err;
};

static int fail(struct parser *p, const char *what)
{
	return splitfd_error_set(
		p->err, SPLITFD_ERROR_USAGE, EINVAL, "%s line %u: %s", p->file, p->at.line, what);
}

static bool at_end(const struct parser *p)
{
	return p->at.p == p->at.end;
}

static bool at_char(const struct parser *p, char c)
{
	return !at_end(p) && *p->at.p == c;
}

static void skip_blanks(struct parser *p)
{
	while (at_char(p, ' ') || at_char(p, '\t'))
		p->at.p++;
}

/* To the end of the line, where nothing but a comment may be, or of the file. */
static int end_line(struct parser *p)
{
	skip_blanks(p);
	if (at_char(p, '#'))
		while (!at_end(p) && *p->at.p != '\n')
			p->at.p++;
	if (at_char(p, '\r'))
		p->at.p++;
	if (at_end(p))
		return 0;
	if (*p->at.p != '\n')
		return fail(p, "something follows where the line should end");
	p->at.p++;
	p->at.line++;
	return 0;
}

/* White space, line ends and comments, as they may be within an array. */
static int skip_lines(struct parser *p)
{
	for (;;) {
		skip_blanks(p);
		if (!at_char(p, '#') && !at_char(p, '\r') && !at_char(p, '\n'))
			return 0;
		if (end_line(p) < 0)
			return -EINVAL;
	}
}

static bool is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

/* A key of one or several parts, appended to `out` with dots between them; returns their number. */
static int parse_key(struct parser *p, struct sfd_buffer *out)
{
	for (int parts = 1;; parts++) {
		size_t before = out->len;
		bool quoted;

		skip_blanks(p);
		quoted = at_char(p, '"') || at_char(p, '\'');
		if (quoted) {
			const char *wrong = sfd_toml_string(&p->at, false, out);

			if (wrong != NULL)
				return fail(p, wrong);
		}
		while (!quoted && !at_end(p) && is_bare(*p->at.p))
			if (sfd_buffer_append(out, p->at.p++, 1) < 0)
				return fail(p, "a key is too long");
		if (out->len == before && !quoted)
			return fail(p, "a key is missing");
		skip_blanks(p);
		if (!at_char(p, '.'))
			return parts;
		p->at.p++;
		if (sfd_buffer_append(out, ".", 1) < 0)
			return fail(p, "a key is too long");
	}
}

/* Hands a value to the caller. */
static int emit(struct parser *p, const struct place *at, struct sfd_toml_value *value)
{
	value->parts = at->parts;
	value->elements = at->elements;
	value->file = p->file;
	value->line = p->at.line;
	return p->set(p->ctx, at->key, value, p->err);
}

/* The word at the cursor up to what may follow a value; empty where there is none. */
static void read_word(struct parser *p, char word[64])
{
	size_t n = 0;

	while (!at_end(p) && strchr(" \t\r\n,]}#", *p->at.p) == NULL && n < 63)
		word[n++] = *p->at.p++;
	word[n] = '\0';
}

static bool is_integer(const char *word)
{
	const char *digits = "0123456789";

	if (*word == '+' || *word == '-') {
		word++;
	} else if (word[0] == '0' && word[1] != '\0') {
		digits = word[1] == 'x'	  ? "0123456789abcdefABCDEF"
			 : word[1] == 'o' ? "01234567"
			 : word[1] == 'b' ? "01"
					  : "";
		word += 2;
	}
	if (*word == '\0' || *word == '_')
		return false;
	for (; *word != '\0'; word++)
		if (*word == '_' ? strchr("_", word[1]) != NULL : strchr(digits, *word) == NULL)
			return false;
	return true;
}

static int parse_word(struct parser *p, const struct place *at)
{
	struct sfd_toml_value value = { 0 };
	char word[64];

	read_word(p, word);
	value.truth = strcmp(word, "true") == 0;
	if (!value.truth && strcmp(word, "false") != 0 && !is_integer(word))
		return splitfd_error_set(p->err, SPLITFD_ERROR_USAGE, EINVAL,
			"%s line %u: the value '%s' is not understood; strings need quotes",
			p->file, p->at.line, word);
	value.type = is_integer(word) ? SFD_TOML_INTEGER : SFD_TOML_BOOL;
	value.text = word;
	return emit(p, at, &value);
}

/* The string at the cursor as new memory. */
static int parse_text(struct parser *p, char **ret)
{
	sfd_cleanup_buffer struct sfd_buffer text = { .max = STRING_SIZE_MAX };
	const char *wrong = sfd_toml_string(&p->at, true, &text);

	if (wrong != NULL)
		return fail(p, wrong);
	if (sfd_buffer_append(&text, "", 1) < 0)
		return splitfd_error_oom(p->err);
	*ret = (char *)text.data;
	text.data = NULL;
	return 0;
}

static int parse_string(struct parser *p, const struct place *at)
{
	sfd_cleanup_free char *text = NULL;
	struct sfd_toml_value value = { .type = SFD_TOML_STRING };
	int r = parse_text(p, &text);

	if (r < 0)
		return r;
	value.text = text;
	return emit(p, at, &value);
}

/* {append=true} or {append=false} within an array. */
static int parse_append(struct parser *p, struct sfd_toml_value *list)
{
	sfd_cleanup_buffer struct sfd_buffer name = { .max = KEY_SIZE_MAX };
	char word[64];

	p->at.p++;
	if (parse_key(p, &name) < 0)
		return -EINVAL;
	if (name.len != 6 || memcmp(name.data, "append", 6) != 0)
		return fail(p, "an array of strings has no attribute other than append");
	if (!at_char(p, '='))
		return fail(p, "'=' is missing after append");
	p->at.p++;
	skip_blanks(p);
	read_word(p, word);
	if (strcmp(word, "true") != 0 && strcmp(word, "false") != 0)
		return fail(p, "append is neither true nor false");
	list->append = *word == 't' ? SFD_TOML_APPEND : SFD_TOML_REPLACE;
	skip_blanks(p);
	if (!at_char(p, '}'))
		return fail(p, "'}' is missing after append");
	p->at.p++;
	return 0;
}

static int add_item(struct parser *p, struct sfd_toml_value *list)
{
	char **items;
	int r;

	if (list->n_items == ITEMS_MAX)
		return fail(p, "an array is too long");
	items = reallocarray(list->items, list->n_items + 1, sizeof(*items));
	if (items == NULL)
		return splitfd_error_oom(p->err);
	list->items = items;
	r = parse_text(p, &items[list->n_items]);
	if (r < 0)
		return r;
	list->n_items++;
	return 0;
}

static int parse_inline_table(struct parser *p, const struct place *at);

/* The arrays whose elements are tables. */
static bool holds_tables(const struct place *at)
{
	static const char *const names[] = { "registry", "registry.mirror" };

	return at->elements < 2 && at->parts == at->elements + 1 &&
	       strcasecmp(at->key, names[at->elements]) == 0;
}

/* Says that one more table of an array of them begins, which then is *ret. */
static int begin_element(struct parser *p, const struct place *array, struct place *ret)
{
	struct sfd_toml_value begin = { .type = SFD_TOML_TABLE };

	*ret = *array;
	ret->elements++;
	return emit(p, ret, &begin);
}

/* One table of such an array, written in place. */
static int parse_element(struct parser *p, const struct place *array)
{
	struct place at;
	int r = begin_element(p, array, &at);

	return r < 0 ? r : parse_inline_table(p, &at);
}

static int parse_item(struct parser *p, const struct place *at, struct sfd_toml_value *list)
{
	if (at_char(p, '"') || at_char(p, '\''))
		return add_item(p, list);
	if (!at_char(p, '{'))
		return fail(p, "an array has a member that is not a string");
	return holds_tables(at) ? parse_element(p, at) : parse_append(p, list);
}

/* The elements of an array, up to its ']'. */
static int parse_items(struct parser *p, const struct place *at, struct sfd_toml_value *list)
{
	p->at.p++;
	for (;;) {
		int r = skip_lines(p);

		if (r < 0)
			return r;
		if (at_char(p, ']'))
			break;
		r = parse_item(p, at, list);
		if (r >= 0)
			r = skip_lines(p);
		if (r < 0)
			return r;
		if (at_char(p, ',')) {
			p->at.p++;
			continue;
		}
		if (!at_char(p, ']'))
			return fail(p, "',' or ']' is missing in an array");
	}
	p->at.p++;
	return 0;
}

static int parse_array(struct parser *p, const struct place *at)
{
	struct sfd_toml_value list = { .type = SFD_TOML_ARRAY };
	int r = parse_items(p, at, &list);

	if (holds_tables(at))
		p->whole[at->elements] = true;
	if (r >= 0)
		r = emit(p, at, &list);
	for (size_t i = 0; i < list.n_items; i++)
		free(list.items[i]);
	free(list.items);
	return r;
}

static int parse_pair(struct parser *p, const struct place *table);

static int parse_inline_table(struct parser *p, const struct place *at)
{
	struct place table = *at;

	if (table.depth++ == NESTING_MAX)
		return fail(p, "tables are nested too deep");
	p->at.p++;
	skip_blanks(p);
	while (!at_char(p, '}')) {
		int r = parse_pair(p, &table);

		if (r < 0)
			return r;
		skip_blanks(p);
		if (at_char(p, '}'))
			break;
		if (!at_char(p, ','))
			return fail(p, "',' or '}' is missing in an inline table");
		p->at.p++;
		skip_blanks(p);
	}
	p->at.p++;
	return 0;
}

static int parse_value(struct parser *p, const struct place *at)
{
	if (at_char(p, '"') || at_char(p, '\''))
		return parse_string(p, at);
	if (at_char(p, '['))
		return parse_array(p, at);
	return at_char(p, '{') ? parse_inline_table(p, at) : parse_word(p, at);
}

/* KEY = VALUE. */
static int parse_pair(struct parser *p, const struct place *table)
{
	sfd_cleanup_buffer struct sfd_buffer key = { .max = KEY_SIZE_MAX };
	struct place at = *table;
	int r;

	if (sfd_buffer_append_str(&key, table->key) < 0 ||
		(table->parts > 0 && sfd_buffer_append(&key, ".", 1) < 0))
		return fail(p, "a key is too long");
	r = parse_key(p, &key);
	if (r < 0)
		return r;
	if (sfd_buffer_append(&key, "", 1) < 0)
		return fail(p, "a key is too long");
	at.key = (const char *)key.data;
	at.parts += (unsigned int)r;
	if (!at_char(p, '='))
		return fail(p, "'=' is missing after a key");
	p->at.p++;
	skip_blanks(p);
	return parse_value(p, &at);
}

/* A table has one place in a file; only those below [[registry]] come with each of the array. */
static int note_table(struct parser *p)
{
	const char *seen = (const char *)p->seen.data, *name = (const char *)p->name.data;

	if (p->table.elements > 0)
		return 0;
	/* The empty list has no address to count from. */
	for (size_t at = 0; at < p->seen.len; at += strlen(seen + at) + 1)
		if (strcmp(seen + at, name) == 0)
			return fail(p, "a table comes a second time");
	return sfd_buffer_append(&p->seen, name, strlen(name) + 1) < 0 ? fail(p, "too many tables")
								       : 0;
}

/* How many arrays of tables are around [NAME]: those of the element before it. */
static unsigned int elements_around(const struct parser *p, const char *name)
{
	if (p->last_elements > 1 && strncasecmp(name, "registry.mirror.", 16) == 0)
		return 2;
	return p->last_elements > 0 && strncasecmp(name, "registry.", 9) == 0;
}

/* The table that [NAME] or [[NAME]] begins. */
static int begin_table(struct parser *p, int brackets, unsigned int parts)
{
	const char *name = (const char *)p->name.data;
	struct place array = { .key = name, .parts = parts, .elements = parts - 1 };

	p->table = (struct place){ .key = name, .parts = parts };
	p->table.elements = elements_around(p, name);
	if (brackets == 1)
		return note_table(p);
	if (!holds_tables(&array))
		return fail(p, "arrays of tables have no meaning here");
	if (p->whole[array.elements])
		return fail(p, "an array of tables comes a second time");
	if (array.elements == 0)
		p->whole[1] = false;
	if (p->last_elements < array.elements)
		return fail(p, "[[registry.mirror]] comes before any [[registry]]");
	p->last_elements = parts;
	return begin_element(p, &array, &p->table);
}

/* [TABLE] or [[TABLE]] */
static int parse_table(struct parser *p)
{
	int brackets = 1, parts, r;

	p->at.p++;
	if (at_char(p, '[')) {
		brackets = 2;
		p->at.p++;
	}
	p->name.len = 0;
	parts = parse_key(p, &p->name);
	if (parts < 0)
		return parts;
	for (int i = 0; i < brackets; i++, p->at.p++)
		if (!at_char(p, ']'))
			return fail(p, "']' is missing after a table's name");
	if (sfd_buffer_append(&p->name, "", 1) < 0)
		return fail(p, "a table's name is too long");
	r = begin_table(p, brackets, (unsigned int)parts);
	return r < 0 ? r : end_line(p);
}

int sfd_toml_parse(const char *text, size_t size, const char *file, sfd_toml_set *set, void *ctx,
	struct splitfd_error *err)
{
	struct parser p = { .at = { .p = text, .end = text + size, .line = 1 },
		.file = file,
		.name = { .max = KEY_SIZE_MAX },
		.seen = { .max = TABLES_SIZE_MAX },
		.table = { .key = "" },
		.set = set,
		.ctx = ctx,
		.err = err };
	int r = 0;

	if (!sfd_utf8_valid(text, size))
		return splitfd_error_set(
			err, SPLITFD_ERROR_USAGE, EINVAL, "%s: the text is not UTF-8", file);
	while (r >= 0) {
		r = skip_lines(&p);
		if (r < 0 || at_end(&p))
			break;
		if (at_char(&p, '[')) {
			r = parse_table(&p);
			continue;
		}
		r = parse_pair(&p, &p.table);
		if (r >= 0)
			r = end_line(&p);
	}
	sfd_buffer_done(&p.name);
	sfd_buffer_done(&p.seen);
	return r < 0 ? r : 0;
}
