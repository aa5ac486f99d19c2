// SPDX-License-Identifier: GPL-2.0
/*
 * What keys are called.
 *
 * A key that was unlinked may be gone when its event is read, so what has been
 * found out is kept: that of a key per slot, which another key may take.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wqmon.h"

#define NR_SLOTS	1024

static struct key_name names[NR_SLOTS];

static const struct {
	const char	*name;
	key_serial_t	id;
} special_keys[] = {
	{ "@t",		KEY_SPEC_THREAD_KEYRING },
	{ "@p",		KEY_SPEC_PROCESS_KEYRING },
	{ "@s",		KEY_SPEC_SESSION_KEYRING },
	{ "@u",		KEY_SPEC_USER_KEYRING },
	{ "@us",	KEY_SPEC_USER_SESSION_KEYRING },
};

/* The kernel's word for it is "TYPE;UID;GID;PERMISSIONS;DESCRIPTION". */
static bool describe(key_serial_t id, struct key_name *name)
{
	char *text = NULL, *description;
	int i;

	if (keyctl_describe_alloc(id, &text) < 0 || !text)
		return false;
	name->id = id;
	description = text;
	for (i = 0; i < 4 && description; i++) {
		description = strchr(description, ';');
		if (description)
			*description++ = '\0';
	}
	snprintf(name->type, sizeof(name->type), "%s", text);
	snprintf(name->description, sizeof(name->description), "%s",
		 description ? description : "");
	free(text);
	return true;
}

/**
 * name_key - look up what a key is called
 * @id: Its serial number.
 * @name: Where to put it; without type and description if we may not know, or
 *	if it is gone.
 */
void name_key(key_serial_t id, struct key_name *name)
{
	struct key_name *known = &names[(__u32)id % NR_SLOTS];
	struct key_name found = { 0 };

	if (known->id != id && describe(id, &found))
		*known = found;
	if (known->id == id)
		*name = *known;
	else
		*name = (struct key_name){ .id = id };
}

/* Looks at all keys of a keyring, if it is one that we may read. */
void remember_keys(key_serial_t ring)
{
	struct key_name name;
	key_serial_t *keys;
	int len, i;

	name_key(ring, &name);
	if (strcmp(name.type, "keyring"))
		return;
	len = keyctl_read_alloc(ring, (void **)&keys);
	if (len < 0)
		return;
	for (i = 0; i < len / (int)sizeof(*keys); i++)
		name_key(keys[i], &name);
	free(keys);
}

static key_serial_t special_key(const char *name)
{
	key_serial_t id;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(special_keys); i++) {
		if (strcmp(name, special_keys[i].name))
			continue;
		id = keyctl_get_keyring_ID(special_keys[i].id, 1);
		if (id >= 0)
			return id;
		if (errno == ENOSYS)
			die(EXIT_NO_KERNEL,
			    "cannot watch keys: the kernel lacks CONFIG_KEYS");
		die(EXIT_FAILED, "cannot find the keyring %s: %s", name,
		    strerror(errno));
	}
	die(EXIT_USAGE,
	    "there is no key '%s'; the special ones are @t, @p, @s, @u and @us", name);
}

/* "%TYPE:DESCRIPTION", or "%:DESCRIPTION" for a keyring. */
static key_serial_t key_by_description(const char *name)
{
	const char *colon = strchr(name, ':');
	char *type;
	key_serial_t id;

	if (!colon || !colon[1])
		die(EXIT_USAGE,
		    "'%s' names no key; write '%%TYPE:DESCRIPTION', or '%%:DESCRIPTION' for a keyring",
		    name);
	type = colon == name + 1 ? strdup("keyring") :
				   strndup(name + 1, colon - name - 1);
	id = find_key_by_type_and_desc(must(type), colon + 1, 0);
	if (id <= 0)
		die(EXIT_FAILED,
		    "there is no key '%s' that one can find; see 'keyctl show' and /proc/keys",
		    name);
	free(type);
	return id;
}

/**
 * find_key - which key the user means
 * @name: A name as keyctl(1) takes it, or a serial number.
 *
 * Return: The serial number; does not return if there is no such key.
 */
key_serial_t find_key(const char *name)
{
	char *end;
	long id;

	if (name[0] == '@')
		return special_key(name);
	if (name[0] == '%')
		return key_by_description(name);
	errno = 0;
	id = strtol(name, &end, 0);
	if (errno || *end || id <= 0 || id != (key_serial_t)id)
		die(EXIT_USAGE,
		    "'%s' is no key; give a serial number, @s or the like, or %%TYPE:DESCRIPTION",
		    name);
	return id;
}
